//! A person's words, made comparable. They are searched for phrases and never shown or followed.

/// A person's words in lower case, with everything but letters and digits as single spaces.
#[derive(Debug)]
pub(crate) struct Words(String);

impl Words {
    pub(crate) fn of(text: &str) -> Self {
        let mut words = String::with_capacity(text.len() + 2);
        words.push(' ');
        for letter in text.chars().flat_map(char::to_lowercase) {
            match letter {
                '\'' | '’' | '`' => {}
                letter if letter.is_alphanumeric() => words.push(letter),
                _ if words.ends_with(' ') => {}
                _ => words.push(' '),
            }
        }
        if !words.ends_with(' ') {
            words.push(' ');
        }
        Self(words)
    }

    /// Whether any of the phrases occurs. They are whole words, parted by commas; a `*` leaves the last word's end
    /// open.
    pub(crate) fn any(&self, phrases: &str) -> bool {
        phrases.split(',').map(str::trim).any(|phrase| {
            let (phrase, open) = phrase.strip_suffix('*').map_or((phrase, false), |stem| (stem, true));
            let begins = |at: usize| self.0[..at].ends_with(' ');
            let ends = |at: usize| open || self.0[at + phrase.len()..].starts_with(' ');
            self.0.match_indices(phrase).any(|(at, _)| begins(at) && ends(at))
        })
    }

    /// The words, one by one.
    pub(crate) fn each(&self) -> impl Iterator<Item = &str> {
        self.0.split(' ').filter(|word| !word.is_empty())
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.trim().is_empty()
    }
}
