//! What nobody of the house says: names of diseases and medicines, and doses.

use crate::words::Words;

/// Phrases of whole words, parted by commas; one that ends in `*` is also the beginning of longer ones. Words that have a
/// second meaning of every day are among them: an answer can always be put in other words.
const UNFIT: &str = "\
    diabet*, prediabet*, hypertens*, hypotens*, arrhythm*, fibrillation, tachycard*, bradycard*, infection*, influenza, \
    flu, covid*, cancer*, tumour*, tumor*, depression, depressive, anxiety disorder*, disorder*, apnea, apnoea, insomnia, \
    stroke, heart attack*, infarct*, sepsis, myocarditis, pneumonia, migraine*, burnout, syndrome*, disease*, hypoglyc*, \
    hyperglyc*, preeclampsia, epilep*, asthma*, anaemia, anemia, thyroid*, aspirin, ibuprofen, paracetamol, acetaminophen, \
    melatonin, magnesium, insulin, metformin, statin, statins, antibiotic*, antidepressant*, benzodiaz*, beta blocker*, \
    valerian, ashwagandha, vitamin*, creatine, mg, mcg, milligram*, microgram*, dose, doses, dosage*, tablet*, pill, pills, \
    capsule*";
/// Units that make a dose of a number.
const DOSES: [&str; 6] = ["mg", "mcg", "µg", "ug", "iu", "ml"];

/// Whether nothing in a text names a disease, a medicine or a dose.
///
/// It is a list of words, not an understanding of them: it keeps the common ones out of what is shown, and it refuses some
/// harmless sentences.
#[must_use]
pub fn is_fit(text: &str) -> bool {
    let dose = |word: &str| {
        let unit = word.trim_start_matches(|letter: char| letter.is_ascii_digit());
        unit.len() < word.len() && DOSES.contains(&unit)
    };
    let words = Words::of(text);
    !words.any(UNFIT) && !words.each().any(dose)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn diseases_medicines_and_doses_are_found_however_they_are_written() {
        for text in [
            "This could be Diabetes.",
            "signs of pre-diabetes? no: prediabetes",
            "Sleep-apnea is common",
            "take 400mg",
            "400 mg of it",
            "Some MELATONIN may help",
            "a heart\nattack",
            "it's an anxiety disorder",
        ] {
            assert!(!is_fit(text), "{text}");
        }
    }

    #[test]
    fn everyday_advice_is_fit() {
        for text in [
            "",
            "Go to bed at ten, and leave the phone outside.",
            "Your heart-rate variability was below your usual range on three nights.",
            "You seem anxious and a little down; please contact a clinician if it stays.",
            "Drink a glass of water, stating how you feel.",
            "Walk 20 minutes, 3 times a week.",
        ] {
            assert!(is_fit(text), "{text}");
        }
    }
}
