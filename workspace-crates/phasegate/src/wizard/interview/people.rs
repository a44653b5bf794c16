//! Questions about people, keys and how decisions are taken.

use base::PrincipalId;
use definition::{Policy, ROLES_PATH};

use super::Interview;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::ssh_keys::read_public;
use crate::wizard::people::{EVALUATOR, People, Person};
use crate::wizard::plan::NewPipeline;
use crate::wizard::templates::PARTNERS;

const PASTE: &str = "another: paste it, or name its file";
const MAKE: &str = "make a new one, in .phasegate/keys";

/// Short enough for the line below a question.
pub(super) const ID_RULE: &str = "write a-z, 0-9, `.`, `_` and `-`, and begin with a-z or 0-9";

impl Interview<'_> {
    /// Who decides and signs; nothing when the definitions say so already.
    pub(super) fn people(&mut self) -> Result<Option<People>, Failure> {
        self.prompt.step(
            "People and keys",
            "Leads decide: they approve, waive and change the roles, each with an SSH key of their own. The weekly job signs as `evaluator` what it records, without a person, and never decides.",
        );
        if self.survey.has(ROLES_PATH) {
            let roles = self.survey.roles().map(|roles| crate::wizard::people::describe(&roles));
            self.there(&format!(
                "{ROLES_PATH}: {}.",
                roles.unwrap_or_else(|| "it has errors".to_owned())
            ));
            if self.wishes.names_people() {
                self.prompt.note(&format!("{ROLES_PATH} is there and stays as it is: the options about people were not used."));
            }
            return Ok(None);
        }
        loop {
            let leads = self.leads()?;
            let evaluator = self.evaluator(&leads)?;
            let partners = self.partners(&leads, &evaluator)?;
            let (policy, threshold) = self.policy(leads.len())?;
            let people = People { leads, evaluator, partners, policy, threshold };
            match people.check() {
                Ok(()) => return Ok(Some(people)),
                Err(error) if self.prompt.is_interactive() && !self.wishes.names_people() => {
                    self.prompt.note(&format!("This will not do: {error}."));
                }
                Err(error) => return Err(Failure::of(Exit::Usage, &error)),
            }
        }
    }

    fn leads(&mut self) -> Result<Vec<Person>, Failure> {
        let mut leads: Vec<Person> = Vec::new();
        if !self.wishes.leads.is_empty() {
            for (id, key) in self.wishes.leads.clone() {
                let title = if id.as_str() == self.survey.person.0 {
                    self.survey.person.1.clone()
                } else {
                    id.to_string()
                };
                let key = self.named_key(&id, key.as_deref(), "--lead")?;
                leads.push(Person { id, title, key: Some(key) });
            }
            self.warn_about_keys_of_others();
            return Ok(leads);
        }
        loop {
            let (id, title) = self.survey.person.clone();
            let first = leads.is_empty();
            let question =
                if first { "Id of the lead, such as `ada`" } else { "Id of the next lead" };
            let id = self.id(question, first.then_some(id.as_str()), &leads)?;
            let default = if first { title } else { id.to_string() };
            let title = self.prompt.text("Name in reports", Some(&default), &sayable)?;
            let key = self.lead_key(&id, &leads)?;
            leads.push(Person { id, title, key: Some(key) });
            if !self.prompt.confirm("Is there another lead?", false)? {
                return Ok(leads);
            }
        }
    }

    /// Several keys on one machine are one person's, whatever their names say.
    fn warn_about_keys_of_others(&mut self) {
        let made = self.keys.pairs.len();
        if made > 1 {
            self.prompt.note(&format!(
                "{made} leads have their keys made on this machine. Whoever has this machine signs for all of them: good for a trial, no quorum."
            ));
        }
    }

    fn id(
        &mut self,
        question: &str,
        default: Option<&str>,
        taken: &[Person],
    ) -> Result<PrincipalId, Failure> {
        let check = |text: &str| -> Result<(), String> {
            let id = PrincipalId::new(text).map_err(|_| ID_RULE.to_owned())?;
            if id.as_str() == EVALUATOR || taken.iter().any(|one| one.id == id) {
                return Err(format!("`{id}` is taken; give everybody an id of their own"));
            }
            Ok(())
        };
        let text = self.prompt.text(question, default, &check)?;
        PrincipalId::new(text).map_err(|error| Failure::of(Exit::Usage, &error))
    }

    fn lead_key(&mut self, id: &PrincipalId, taken: &[Person]) -> Result<String, Failure> {
        let is_free = |key: &str| !taken.iter().any(|one| one.key.as_deref() == Some(key));
        let free: Vec<_> = self.found.iter().filter(|one| is_free(&one.public)).cloned().collect();
        let mut options: Vec<String> = free.iter().map(|one| one.label.clone()).collect();
        options.push(PASTE.to_owned());
        // A key that is made here is in the hands of whoever sits here: the first lead.
        if taken.is_empty() {
            options.push(MAKE.to_owned());
        }
        let make = free.len() + 1;
        let others = !taken.is_empty();
        let default = match self.prompt.is_interactive() {
            true if others => free.len(),
            true if !free.is_empty() => 0,
            _ => make,
        };
        let chosen = self.prompt.choose(&format!("Key of {id}"), &options, default)?;
        if let Some(one) = free.get(chosen) {
            return Ok(one.public.clone());
        }
        if chosen == make {
            return self.keys.public_of(self.world, id);
        }
        self.pasted_key(&format!("Public key of {id}, or its file"), taken)
    }

    fn pasted_key(&mut self, question: &str, taken: &[Person]) -> Result<String, Failure> {
        let check = |text: &str| -> Result<(), String> {
            let key = read_public(text)?;
            match taken.iter().find(|one| one.key.as_deref() == Some(&key)) {
                Some(one) => Err(format!("this is the key of {}; one key counts once", one.id)),
                None => Ok(()),
            }
        };
        let text = self.prompt.text(question, None, &check)?;
        read_public(&text).map_err(|error| Failure::new(Exit::Usage, error))
    }

    /// The key that an option names, or one that is made.
    fn named_key(
        &mut self,
        id: &PrincipalId,
        key: Option<&str>,
        option: &str,
    ) -> Result<String, Failure> {
        match key {
            Some(key) => read_public(key)
                .map_err(|error| Failure::new(Exit::Usage, format!("{option} {id}: {error}"))),
            None => self.keys.public_of(self.world, id),
        }
    }

    fn evaluator(&mut self, leads: &[Person]) -> Result<Person, Failure> {
        let id = PrincipalId::new(EVALUATOR).map_err(|error| Failure::of(Exit::Failed, &error))?;
        let key = if self.wishes.evaluator_key.is_some() {
            let key = self.wishes.evaluator_key.clone();
            self.named_key(&id, key.as_deref(), "--evaluator-key")?
        } else {
            let options =
                [MAKE.to_owned(), "I have one: paste its public half, or name the file".to_owned()];
            match self.prompt.choose("Key of the weekly job", &options, 0)? {
                0 => self.keys.public_of(self.world, &id)?,
                _ => self.pasted_key("Public key of the weekly job, or its file", leads)?,
            }
        };
        Ok(Person { id, title: "The weekly job".to_owned(), key: Some(key) })
    }

    fn partners(&mut self, leads: &[Person], evaluator: &Person) -> Result<Vec<Person>, Failure> {
        let mut taken = leads.to_vec();
        taken.push(evaluator.clone());
        let mut partners = Vec::new();
        for (id, key) in self.wishes.partners.clone() {
            let key = key.map(|key| self.named_key(&id, Some(&key), "--partner")).transpose()?;
            partners.push(Person { title: id.to_string(), id, key });
        }
        if !partners.is_empty() {
            return Ok(partners);
        }
        let mut question = "Are there partners who confirm that they run on the network?";
        while self.prompt.confirm(question, false)? {
            let id = self.id("Id of the partner", None, &taken)?;
            let title = self.prompt.text("Name in reports", Some(id.as_str()), &sayable)?;
            let has_key = self
                .prompt
                .confirm("Do you have their public key? It can be added later", false)?;
            let key = has_key
                .then(|| self.pasted_key(&format!("Public key of {id}, or its file"), &taken))
                .transpose()?;
            let partner = Person { id, title, key };
            taken.push(partner.clone());
            partners.push(partner);
            question = "Is there another partner?";
        }
        Ok(partners)
    }

    fn policy(&mut self, leads: usize) -> Result<(Policy, u32), Failure> {
        self.prompt.step(
            "How decisions are taken",
            "Under the policy `quorum` nobody decides alone: what passes is proposed, and moves when enough leads have signed. Under `solo` one person decides, and every report says so on its first page.",
        );
        let policy = match self.wishes.policy {
            Some(policy) => policy,
            None if leads < 2 => {
                self.prompt.note("One lead: the policy is `solo`, and each report will say that one person decides alone.");
                Policy::Solo
            }
            None => {
                let options = [
                    "quorum: nobody decides alone".to_owned(),
                    "solo: each lead decides alone".to_owned(),
                ];
                match self.prompt.choose("Policy", &options, 0)? {
                    0 => Policy::Quorum,
                    _ => Policy::Solo,
                }
            }
        };
        if let Some(threshold) = self.wishes.threshold {
            return Ok((policy, threshold));
        }
        if policy == Policy::Solo || leads < 2 {
            return Ok((policy, 1));
        }
        let check = |text: &str| match text.parse::<usize>() {
            Ok(number) if (2..=leads).contains(&number) => Ok(()),
            _ => Err(format!("write a number from 2 to {leads}")),
        };
        let text = self.prompt.text(
            &format!("How many of the {leads} leads have to agree"),
            Some("2"),
            &check,
        )?;
        let threshold =
            text.parse().map_err(|_| Failure::new(Exit::Usage, "the threshold is no number"))?;
        if threshold as usize == leads {
            self.prompt.note("All leads have to agree: when one of them loses the key, nobody can decide or change the roles.");
        }
        Ok((policy, threshold))
    }

    /// The gates of the shipped programme ask two partners; those who are still to come get a name.
    pub(super) fn with_partners(
        &mut self,
        people: Option<People>,
        new: Option<&NewPipeline>,
    ) -> Option<People> {
        let mut people = people?;
        if new.is_some_and(|new| new.template.asks_partners()) {
            let mut added = Vec::new();
            for id in PARTNERS.iter().filter_map(|name| PrincipalId::new(*name).ok()) {
                let mut all = people.leads.iter().chain(&people.partners);
                let is_taken = all.any(|one| one.id == id);
                if people.partners.len() < PARTNERS.len() && !is_taken {
                    added.push(id.to_string());
                    let title = id.as_str().replace('-', " ");
                    people.partners.push(Person { title, id, key: None });
                }
            }
            if !added.is_empty() {
                self.prompt.note(&format!(
                    "A gate of this programme asks two partners. In `pipeline/roles.toml`, {} stand for partners who bring a key later.",
                    added.join(" and ")
                ));
            }
        }
        Some(people)
    }
}

/// Text that a report can show as it is.
pub(super) fn sayable(text: &str) -> Result<(), String> {
    if text.trim().is_empty() {
        return Err("this text has to say something".to_owned());
    }
    match report::clean(text) == text.trim() {
        true => Ok(()),
        false => {
            Err("write it in one line, without control characters or repeated blanks".to_owned())
        }
    }
}
