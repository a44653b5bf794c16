use std::sync::Arc;

use base::Digest;

use crate::wire::{Wire, wire_struct};
use crate::{Block, Deposit, Transaction};

/// An account on L2.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Account {
    /// What it owns, in units.
    pub balance: u64,
    /// How many transactions it sent.
    pub nonce: u64,
}

wire_struct!(Account { balance, nonce });

/// All accounts, with a root that is computed once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct State {
    accounts: Vec<Account>,
    deposits_credited: u64,
    supply: u64,
    root: Digest,
}

/// Why a block cannot be executed on a state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ExecutionError {
    /// A deposit is missing, repeated or too large.
    #[error("deposit {0} is not the next one")]
    Deposit(u64),
    /// A transaction names an account that does not exist.
    #[error("transaction {0} names an unknown account")]
    Account(usize),
    /// A transaction's nonce is not its sender's next one.
    #[error("transaction {0} does not have its sender's next nonce")]
    Nonce(usize),
    /// The sender does not own what it wants to pay.
    #[error("transaction {0} spends more than its sender owns")]
    Balance(usize),
    /// The header states another root.
    #[error("the header states another state root than execution gives")]
    Root,
}

impl State {
    /// How many users have accounts; the account after theirs collects the fees.
    pub const USERS: u32 = 16;
    /// What every user owns at genesis, in units.
    pub const GENESIS_BALANCE: u64 = 1_000_000_000_000;

    /// The state before the first block.
    #[must_use]
    pub fn genesis() -> Self {
        let user = Account { balance: Self::GENESIS_BALANCE, nonce: 0 };
        let mut accounts = vec![user; Self::USERS as usize];
        accounts.push(Account::default());
        Self::new(accounts, 0, Self::GENESIS_BALANCE * u64::from(Self::USERS))
    }

    fn new(accounts: Vec<Account>, deposits_credited: u64, supply: u64) -> Self {
        let mut bytes = Vec::with_capacity(32 + accounts.len() * 16);
        accounts.put(&mut bytes);
        deposits_credited.put(&mut bytes);
        supply.put(&mut bytes);
        Self { accounts, deposits_credited, supply, root: Digest::of(&bytes) }
    }

    /// Digest of all accounts, the number of credited deposits and the supply.
    #[must_use]
    pub const fn root(&self) -> Digest {
        self.root
    }

    /// The account with this number, if it exists.
    #[must_use]
    pub fn account(&self, number: u32) -> Option<Account> {
        self.accounts.get(number as usize).copied()
    }

    /// How many deposits were credited: the number of the next one.
    #[must_use]
    pub const fn deposits_credited(&self) -> u64 {
        self.deposits_credited
    }

    /// What all accounts together must own: genesis plus credited deposits, in units.
    #[must_use]
    pub const fn supply(&self) -> u64 {
        self.supply
    }

    /// Whether the accounts together own exactly the supply.
    #[must_use]
    pub fn is_conserved(&self) -> bool {
        let total: u128 = self.accounts.iter().map(|account| u128::from(account.balance)).sum();
        total == u128::from(self.supply)
    }

    /// Whether a transaction can be executed next, given the sender's `nonce` and `balance`.
    #[must_use]
    pub fn allows(&self, sender: Account, transaction: &Transaction) -> bool {
        let cost = transaction.amount.checked_add(transaction.fee);
        sender.nonce == transaction.nonce
            && cost.is_some_and(|cost| cost <= sender.balance)
            && transaction.from < Self::USERS
            && transaction.to < Self::USERS
    }

    /// The state after these deposits and transactions.
    ///
    /// # Errors
    /// When one of them cannot be executed; then nothing is.
    pub fn after(
        &self,
        deposits: &[Deposit],
        transactions: &[Arc<Transaction>],
    ) -> Result<Self, ExecutionError> {
        let mut accounts = self.accounts.clone();
        let (mut credited, mut supply) = (self.deposits_credited, self.supply);
        for deposit in deposits {
            let refuse = ExecutionError::Deposit(deposit.number);
            let account = accounts.get_mut(deposit.account as usize).ok_or(refuse)?;
            if deposit.number != credited {
                return Err(refuse);
            }
            supply = supply.checked_add(deposit.amount).ok_or(refuse)?;
            account.balance = account.balance.checked_add(deposit.amount).ok_or(refuse)?;
            credited += 1;
        }
        for (index, transaction) in transactions.iter().enumerate() {
            transfer(&mut accounts, index, transaction)?;
        }
        Ok(Self::new(accounts, credited, supply))
    }
}

fn transfer(
    accounts: &mut [Account],
    index: usize,
    transaction: &Transaction,
) -> Result<(), ExecutionError> {
    if transaction.to >= State::USERS || transaction.from >= State::USERS {
        return Err(ExecutionError::Account(index));
    }
    let sender =
        accounts.get_mut(transaction.from as usize).ok_or(ExecutionError::Account(index))?;
    if sender.nonce != transaction.nonce {
        return Err(ExecutionError::Nonce(index));
    }
    let cost = transaction.amount.checked_add(transaction.fee);
    let rest = cost.and_then(|cost| sender.balance.checked_sub(cost));
    sender.balance = rest.ok_or(ExecutionError::Balance(index))?;
    sender.nonce += 1;
    // The supply fits into u64 and is conserved, so no balance can overflow.
    for (account, gain) in [(transaction.to, transaction.amount), (State::USERS, transaction.fee)] {
        let account = accounts.get_mut(account as usize).ok_or(ExecutionError::Account(index))?;
        account.balance = account.balance.saturating_add(gain);
    }
    Ok(())
}

/// Executes `block` on the state of its parent and checks the root that its header states.
///
/// # Errors
/// When the block cannot be executed or states another root.
pub fn execute(parent: &State, block: &Block) -> Result<Arc<State>, ExecutionError> {
    let next = parent.after(block.deposits(), block.transactions())?;
    if next.root() == block.header().state_root {
        Ok(Arc::new(next))
    } else {
        Err(ExecutionError::Root)
    }
}

impl Wire for State {
    fn put(&self, out: &mut Vec<u8>) {
        self.accounts.put(out);
        self.deposits_credited.put(out);
        self.supply.put(out);
    }
    fn take(input: &mut crate::wire::Reader<'_>) -> Result<Self, crate::wire::WireError> {
        Ok(Self::new(Wire::take(input)?, Wire::take(input)?, Wire::take(input)?))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::{ExecutionError, State};
    use crate::{Deposit, Signature, Transaction};
    use proptest::prelude::*;

    fn transfer(from: u32, to: u32, amount: u64, nonce: u64) -> Arc<Transaction> {
        let signature = Signature([0; 64]);
        Arc::new(Transaction { from, to, amount, fee: 1, nonce, signature })
    }

    #[test]
    fn a_nonce_is_used_once_and_nobody_overspends() {
        let state = State::genesis();
        let twice = [transfer(0, 1, 5, 0), transfer(0, 1, 5, 0)];
        assert_eq!(state.after(&[], &twice), Err(ExecutionError::Nonce(1)));
        let rich = [transfer(0, 1, State::GENESIS_BALANCE, 0)];
        assert_eq!(state.after(&[], &rich), Err(ExecutionError::Balance(0)));
        let nobody = [transfer(0, State::USERS, 1, 0)];
        assert_eq!(state.after(&[], &nobody), Err(ExecutionError::Account(0)));
    }

    #[test]
    fn a_deposit_is_credited_once_and_in_order() {
        let state = State::genesis();
        let deposit = |number| Deposit { number, account: 3, amount: 7 };
        let after = state.after(&[deposit(0)], &[]).unwrap();
        assert_eq!(after.account(3).unwrap().balance, State::GENESIS_BALANCE + 7);
        assert!(after.is_conserved() && after.root() != state.root());
        assert_eq!(after.after(&[deposit(0)], &[]), Err(ExecutionError::Deposit(0)));
        assert_eq!(after.after(&[deposit(2)], &[]), Err(ExecutionError::Deposit(2)));
    }

    proptest! {
        #[test]
        fn transfers_conserve_the_supply(moves in prop::collection::vec((0_u32..16, 0_u32..16, 0_u64..1_000_000), 0..50)) {
            let mut state = State::genesis();
            for (from, to, amount) in moves {
                let nonce = state.account(from).unwrap().nonce;
                state = state.after(&[], &[transfer(from, to, amount, nonce)]).unwrap();
                prop_assert!(state.is_conserved());
            }
        }
    }
}
