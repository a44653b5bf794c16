//! `report bundle`: one file with a ledger, the evidence of one evaluation, and the rules.

use std::path::Path;

use engine::recompute;
use ledger::LedgerStore;
use ledger::body::EvaluationRef;

use crate::exit::Exit;
use crate::failure::{Failure, Outcome};
use crate::material::{Material, Which};
use crate::output::{count, print, say};
use report::bundle::{About, Bundle, EVIDENCE, LEDGER, RULES};

const README: &str = include_str!("bundle.txt");
/// The verifier for those who have bash, jq and OpenSSH only.
const SCRIPT: &str = include_str!("../../../../../docs/verify-ledger.sh");

/// Writes the bundle of the evaluation that `which` names to `out`.
pub fn run(material: &Material, which: &Which, out: &Path) -> Outcome {
    let bundle = collect(material, which)?;
    let bytes = bundle.to_bytes().map_err(|error| Failure::of(Exit::File, &error))?;
    let size_bytes = bytes.len();
    super::write_file(out, bytes)?;
    let About { week, evaluation, .. } = &bundle.about;
    say(format!(
        "The evaluation of {week} (entry {}) with its evidence: {}, {} kB.",
        evaluation.seq,
        count(bundle.len(), "file", "files"),
        size_bytes.div_ceil(1_000)
    ));
    print(&format!("{}\n", out.display()))
}

fn collect(material: &Material, which: &Which) -> Result<Bundle, Failure> {
    let ledger = &material.ledger;
    let seq = which.find(ledger.view())?;
    let recorded = recompute::read(ledger, seq)?;
    let mut bundle = Bundle::new(About {
        schema: 1,
        pipeline: ledger.view().pipeline().clone(),
        genesis: ledger.view().genesis().digest,
        evaluation: EvaluationRef { seq, digest: recorded.digest },
        week: recorded.entry.week.clone(),
        report: super::check::announced(ledger.view(), seq).map(|(_, folder)| folder),
    });
    bundle.add_top("README.txt", README.as_bytes().to_vec(), false);
    bundle.add_top("verify-ledger.sh", SCRIPT.as_bytes().to_vec(), true);
    for entry in ledger.store().entries()? {
        let folder = ledger::store::entry_folder(entry.seq);
        for (principal, signature) in entry.signatures {
            bundle.add(LEDGER, &format!("{folder}/{principal}.sig"), signature);
        }
        bundle.add(LEDGER, &format!("{folder}/entry.json"), entry.bytes);
    }
    for under in ["evidence", "reports"] {
        for path in ledger.store().list_files(under)? {
            let bytes = ledger.store().read_file(&path)?;
            bundle.add(LEDGER, &path, bytes.unwrap_or_default());
        }
    }
    let signers = ledger.view().roles().allowed_signers();
    bundle.add(LEDGER, "allowed_signers", signers.into_bytes());
    for digest in recorded.inputs.closure(&*material.evidence)? {
        bundle.add(EVIDENCE, &digest.to_string(), material.evidence.get(&digest)?);
    }
    let rules = material.rules(&recorded.pins)?;
    for folder in ["pipeline", "stages"] {
        add_folder(&mut bundle, &rules.world.root, folder, DEPTH_MAX)?;
    }
    Ok(bundle)
}

/// Definitions are not nested deeper; their git tree has been named, so they are plain files.
const DEPTH_MAX: usize = 16;

fn add_folder(
    bundle: &mut Bundle,
    root: &Path,
    path: &str,
    depth_left: usize,
) -> Result<(), Failure> {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = root.join(path);
    let unreadable = |error: &std::io::Error| Failure::file("read", &folder, error);
    if depth_left == 0 {
        return Err(Failure::new(Exit::File, format!("{} is nested too deep", folder.display())));
    }
    for entry in std::fs::read_dir(&folder).map_err(|error| unreadable(&error))? {
        let entry = entry.map_err(|error| unreadable(&error))?;
        let below = format!("{path}/{}", entry.file_name().to_string_lossy());
        let metadata = entry.metadata().map_err(|error| unreadable(&error))?;
        if metadata.is_dir() {
            add_folder(bundle, root, &below, depth_left - 1)?;
            continue;
        }
        let bytes = std::fs::read(entry.path())
            .map_err(|error| Failure::file("read", &entry.path(), &error))?;
        bundle.add(RULES, &below, bytes);
        if metadata.permissions().mode() & 0o100 != 0 {
            bundle.set_program(RULES, &below);
        }
    }
    Ok(())
}
