use std::sync::Arc;

use base::{Digest, Duration, Instant};

use crate::follower::Follower;
use crate::{
    Action, Block, Cx, Event, Facts, Job, JobId, JobOutput, Machine, Message, NodeConfig, NodeId,
    Proof, Statement, TimerId,
};

const LOOK: TimerId = TimerId(1);

/// Proves epochs after they end.
///
/// Provers take turns. One that is not on turn takes over when the epoch is still not proven after
/// the time that a proof takes, once for each prover between them.
pub(crate) struct Prover {
    follower: Follower,
    job: Option<(JobId, Statement, Instant)>,
    jobs: u64,
    /// The statement sent last and when; sent again when L1 does not take it in time.
    sent: Option<(Statement, Instant)>,
    proofs_made: u64,
    failures: u64,
    last_prove_seconds: f64,
}

impl Prover {
    pub(crate) fn new(config: NodeConfig) -> Self {
        Self {
            follower: Follower::new(config),
            job: None,
            jobs: 0,
            sent: None,
            proofs_made: 0,
            failures: 0,
            last_prove_seconds: 0.0,
        }
    }

    /// When this prover may start on `epoch`.
    fn turn_at(&self, epoch: u64) -> Instant {
        let config = &self.follower.config;
        let (spec, count) = (&config.spec, u64::from(config.spec.provers().max(1)));
        let number = u64::from(config.id.0.saturating_sub(2 + spec.validators));
        let rank = (number + count - epoch % count) % count;
        let end = self.follower.slot_start((epoch + 1) * u64::from(spec.epoch_slots));
        // The last slot's block can still be included within the next slot.
        let settled = end + spec.slot;
        let patience = spec.proving + spec.l1_slot + spec.l1_slot;
        settled + Duration::from_micros(patience.micros().saturating_mul(rank as i64))
    }

    fn look(&mut self, cx: &Cx<'_>, out: &mut Vec<Action>) {
        if self.job.is_some() || !self.follower.is_synced() {
            return;
        }
        let proven = self.follower.tips().proven;
        let spec = Arc::clone(&self.follower.config.spec);
        let mut above = self.follower.above(proven.height).map(|posted| &posted.block);
        let Some(first) = above.next() else { return };
        let epoch = spec.epoch_of(first.header().slot);
        let turn = self.turn_at(epoch);
        if cx.now < turn {
            out.push(Action::SetTimer(LOOK, turn));
            return;
        }
        let rest = above.take_while(|block| spec.epoch_of(block.header().slot) == epoch);
        let blocks: Vec<Arc<Block>> = std::iter::once(first).chain(rest).cloned().collect();
        let Some(previous) = self.follower.state_at(proven.height) else { return };
        let Some(statement) = Statement::over(epoch, previous.root(), &blocks) else { return };
        if let Some((sent, at)) = &self.sent
            && *sent == statement
        {
            let again = *at + spec.slot + spec.l1_slot;
            if cx.now < again {
                out.push(Action::SetTimer(LOOK, again));
                return;
            }
        }
        self.start(cx, statement, previous, blocks, out);
    }

    fn start(
        &mut self,
        cx: &Cx<'_>,
        statement: Statement,
        previous: Arc<crate::State>,
        blocks: Vec<Arc<Block>>,
        out: &mut Vec<Action>,
    ) {
        let prover = self.follower.config.id;
        self.jobs += 1;
        let id = JobId(self.jobs);
        self.job = Some((id, statement.clone(), cx.now));
        let job = Job::Prove { prover, statement, previous, blocks };
        out.push(Action::Job(id, job, self.follower.config.spec.proving));
    }

    fn on_done(
        &mut self,
        cx: &Cx<'_>,
        id: JobId,
        result: Result<Vec<u8>, String>,
        out: &mut Vec<Action>,
    ) {
        let Some((_, statement, started)) = self.job.take_if(|(running, _, _)| *running == id)
        else {
            return;
        };
        match result {
            Ok(bytes) => {
                self.proofs_made += 1;
                self.last_prove_seconds = (cx.now - started).seconds();
                self.sent = Some((statement.clone(), cx.now));
                let proof = Proof { statement, prover: self.follower.config.id, bytes };
                out.push(Action::Send(NodeId::L1, Arc::new(Message::Proof(Arc::new(proof)))));
            }
            Err(_) => self.failures += 1,
        }
        self.look(cx, out);
    }
}

impl Machine for Prover {
    fn handle(&mut self, cx: &Cx<'_>, event: Event, out: &mut Vec<Action>) {
        if self.follower.handle(cx, &event, out) {
            self.look(cx, out);
        }
        match event {
            Event::Boot(durable) => self.follower.boot(cx, &durable, out),
            Event::Timer(LOOK) => self.look(cx, out),
            Event::JobDone(id, JobOutput::Proven(result)) => self.on_done(cx, id, result, out),
            _ => {}
        }
    }

    fn state_digest(&self) -> Digest {
        self.follower.digest()
    }

    fn metrics(&self, _: Instant, out: &mut Vec<f64>) {
        out.extend([
            self.proofs_made as f64,
            self.failures as f64,
            self.last_prove_seconds,
            self.follower.tip().height as f64,
            self.follower.config.started.unix_seconds(),
        ]);
    }

    fn facts(&self) -> Facts {
        self.follower.facts()
    }
}
