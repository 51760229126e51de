//! Care: red flags in a person's words or in the metadata, which are answered before anything else, and what is not said.
//!
//! It errs on the side of pointing to care. It names no disease and gives no dose, and it never repeats what it read.

mod unfit;

pub use unfit::is_fit;

use crate::{
    consult::{Advice, Cause, Consult},
    events::TriggerType,
    reading::{Reading, Repeat, Sign},
    text::Text,
    voice::{Voice, fill},
    words::Words,
};

/// From this severity on a measurement is a matter for a clinician.
const ALARMING: f64 = 0.9;

/// What a person needs before advice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Care {
    /// Signs that may be an emergency.
    Emergency,
    /// Thoughts of ending or hurting oneself.
    Crisis,
    /// A pregnancy with something unusual.
    Pregnancy,
    /// Something to have looked at soon.
    Clinician,
    /// A question about medicines.
    Medicines,
    /// Blood pressure far outside the person's range.
    HighPressure,
    /// Glucose far outside the person's range.
    HighGlucose,
    /// A device's own alert, or signs of defence far outside the person's range.
    Alarm,
}

/// Phrases of whole words, parted by commas; one that ends in `*` is also the beginning of longer ones.
const CRISIS: &str = "\
    suicid*, feel like ending it*, nobody would miss me*, cant go on anymore*, hurt myself on purpose*, bottle of \
    pills*, all my pills*, too many tablets*, too many pills*, take my own life*, taking my own life*, take my \
    life*, no point in living*, hang myself*, unalive, dont want to wake up*, kill myself*, killing myself*, end my \
    life*, ending my life*, end it all*, want to die*, wish i was dead*, wish i were dead*, better off dead*, dont \
    want to live*, do not want to live*, no reason to live*, not worth living*, dont want to be alive*, dont want to \
    be here anymore*, self harm*, selfharm*, harm myself*, harming myself*, hurting myself*, want to hurt myself*, \
    going to hurt myself*, gonna hurt myself*, might hurt myself*, urge to hurt*, cutting myself*, want to cut \
    myself*, never wake up again*, overdose*, overdosed*, took too many pills*";
const EMERGENCY: &str = "\
    chest pain*, pain in my chest*, pain in the chest*, pain in chest*, pains in my chest*, chest hurt*, chest is \
    hurting*, chest is tight*, chest feels tight*, tight chest*, tightness in my chest*, chest tightness*, chest \
    pressure*, pressure on my chest*, pressure in my chest*, crushing pain*, crushing feeling*, chest feels heavy*, \
    heaviness in my chest*, is this a heart attack*, pass out*, cant get enough air*, not getting enough air*, catch \
    my breath*, cant feel my arm*, cant feel my leg*, cant feel my face*, pain in my left arm*, down my left arm*, \
    left arm is numb*, left arm hurt*, face is numb*, out of one eye*, left arm pain*, jaw and arm*, faint, \
    fainted*, fainting*, passed out*, passing out*, blacked out*, blacking out*, lost consciousness*, unconscious*, \
    collapsed*, short of breath*, shortness of breath*, out of breath at rest*, cant breathe*, cannot breathe*, can \
    not breathe*, hard to breathe*, trouble breathing*, difficulty breathing*, struggling to breathe*, gasping*, \
    breathless*, face droop*, face is droop*, drooping face*, droopy face*, face went numb*, mouth is droop*, \
    slurred*, slurring*, slur my*, cant speak*, cannot speak*, trouble speaking*, cant move my arm*, cant move my \
    leg*, cannot move my*, weak on one side*, one side of my body*, one side of my face*, arm went numb*, arm is \
    numb*, sudden numb*, suddenly numb*, suddenly confused*, lost vision*, lost my vision*, sudden vision*, cant see \
    suddenly*, suddenly cant see*, suddenly went blind*, worst headache*, thunderclap*, having a stroke*, had a \
    stroke*, having a heart attack*, heart attack now*, seizure*, convuls*, coughing up blood*, coughing blood*, \
    coughed up blood*, vomiting blood*, vomited blood*, throwing up blood*, bleeding heavily*, wont stop bleeding*, \
    bleeding wont stop*, throat is closing*, throat closing*, tongue is swelling*, lips are swelling*";
/// With the chest named anywhere in the same message.
const CHEST_SIGNS: &str = "\
    pain*, hurt*, tight*, pressure, ache, aches, aching, squeez*, stabbing, burning";
/// With blood named anywhere in the same message.
const BLOOD_COMES_UP: &str = "cough*, vomit*, throwing up, threw up, puke*, puking";
const CLINICIAN: &str = "\
    blood in, blood on, blood when i*, bloody stool*, bloody urine*, black stool*, palpitation*, irregular \
    heartbeat*, heart skips*, heart is skipping*, heart keeps racing*, heart wont stop racing*, high fever*, fever \
    for days*, night sweats*, lost weight without*, losing weight without*, a lump*, making myself sick*, make \
    myself sick*, starving myself*, panic attack*, almost passed*, nearly passed*, very dizzy*, lightheaded*, light \
    headed*, dizzy when i stand*, numb, numbness*, tingling*, hopeless*, double vision*, blurred vision*, stopped \
    breathing at night*, stop breathing at night*, stop breathing in my sleep*, blood pressure is very high*, very \
    high blood pressure*, blood sugar is very low*, blood sugar is very high*, very low blood sugar*";
const PREGNANT: &str = "pregnan*, my baby bump*, trimester*, the unborn*";
const PREGNANCY_SIGNS: &str = "\
    bleed*, blood, spotting*, cramp*, contraction*, pain*, hurt*, headache*, swell*, swollen*, dizzy*, vision*, baby \
    is not moving*, baby isnt moving*, not moving*, moving less*, stopped moving*, hasnt moved*, has not moved*, \
    fluid*, water broke*, waters broke*, fever*, blood pressure*, glucose*, complication*, vomit*, fell";
const MEDICINES: &str = "\
    medication*, medicine*, my meds*, meds, tablet*, pill, pills, dose, doses, dosage*, prescription*, prescribed*, \
    antidepressant*, antibiotic*, beta blocker*, insulin*, supplement*, melatonin*, ibuprofen*, aspirin*, \
    paracetamol*, sleeping aid*, painkiller*";

/// What must be said before any advice; none where nothing in the consult calls for care.
///
/// The built-in agents answer with it by themselves. It is public for agents whose words are not chosen by their authors,
/// such as language models.
#[must_use]
pub fn first(consult: &Consult) -> Option<Advice> {
    let reading = Reading::of(consult);
    let care = Care::of(&reading)?;
    Some(care.advice(&reading, &Voice::of(&reading)))
}

impl Care {
    /// What the consult calls for before any advice.
    pub(crate) fn of(reading: &Reading<'_>) -> Option<Self> {
        match &reading.consult.cause {
            Cause::Message { text, .. } => Self::in_words(text).or_else(|| {
                // A reading that alarms is said once a day, whatever the person writes about.
                let told = reading
                    .history
                    .own()
                    .any(|past| reading.history.days_since(past) == 0 && past.note.starts_with("care"));
                let no_trigger = TriggerType::Other(String::new());
                if told { None } else { Self::in_metadata(reading, &no_trigger, false) }
            }),
            Cause::Trigger { trigger_type, severity, .. } => {
                Self::in_metadata(reading, trigger_type, severity.get() >= ALARMING)
            }
        }
    }

    fn in_words(text: &str) -> Option<Self> {
        let words = Words::of(text);
        if words.any(CRISIS) {
            Some(Self::Crisis)
        } else if words.any(EMERGENCY)
            || (words.any("chest") && words.any(CHEST_SIGNS))
            || (words.any("blood") && words.any(BLOOD_COMES_UP))
        {
            Some(Self::Emergency)
        } else if words.any(PREGNANT) && words.any(PREGNANCY_SIGNS) {
            Some(Self::Pregnancy)
        } else if words.any(CLINICIAN) {
            Some(Self::Clinician)
        } else if words.any(MEDICINES) {
            Some(Self::Medicines)
        } else {
            None
        }
    }

    fn in_metadata(reading: &Reading<'_>, trigger: &TriggerType, severe: bool) -> Option<Self> {
        let alarming = |sign| reading.severity(sign) >= ALARMING;
        if alarming(Sign::Pressure) || (severe && *trigger == TriggerType::BloodPressureSpike) {
            Some(Self::HighPressure)
        } else if alarming(Sign::Glucose) || (severe && *trigger == TriggerType::GlucoseSpike) {
            Some(Self::HighGlucose)
        } else if alarming(Sign::Alert) || (severe && *trigger == TriggerType::InflammationRisk) {
            Some(Self::Alarm)
        } else {
            None
        }
    }

    /// An answer that says it and nothing else.
    pub(crate) fn advice(self, reading: &Reading<'_>, voice: &Voice) -> Advice {
        Advice {
            message: Text::cut(self.words(reading, voice)),
            reasons: vec![Text::cut("Care comes before any plan.")],
            note: voice.note("care"),
            ..Advice::default()
        }
    }

    /// What to say: the whole of it, or, where somebody on the panel has already pointed to care, what follows from it.
    pub(crate) fn words(self, reading: &Reading<'_>, voice: &Voice) -> String {
        let said = reading.consult.panel.iter().any(|said| {
            let said = Words::of(&said.message);
            said.any("emergency number") || (!self.is_emergency() && said.any("clinician, clinicians"))
        });
        let wording = voice.pick(if said { self.next_words() } else { self.first_words() });
        let when = self.sign().and_then(|sign| reading.when(sign)).unwrap_or_else(|| "this time".to_owned());
        fill(wording, &[("when", &when)])
    }

    fn is_emergency(self) -> bool {
        matches!(self, Self::Emergency | Self::Crisis)
    }

    /// The sign behind it, where a sign is.
    pub(crate) fn sign(self) -> Option<Sign> {
        match self {
            Self::HighPressure => Some(Sign::Pressure),
            Self::HighGlucose => Some(Sign::Glucose),
            Self::Emergency | Self::Crisis | Self::Pregnancy | Self::Clinician | Self::Medicines | Self::Alarm => None,
        }
    }

    /// What the first to speak says.
    fn first_words(self) -> &'static [&'static str; 3] {
        match self {
            Self::Emergency => &[
                "What you describe can be an emergency: please call your local emergency number now, and do not drive \
                 yourself. If somebody is near, ask them to stay with you.",
                "Please call your local emergency number now; this needs people who can examine you, and my readings \
                 cannot rule anything out. Stay with somebody until help is there.",
                "This comes before any advice: please call your local emergency number now. Sit down, unlock the door \
                 if you can, and let somebody know.",
            ],
            Self::Crisis => &[
                "I am glad you wrote this, and I am taking it seriously. Please call your local emergency number now, \
                 or a crisis line, and tell somebody near you that you should not be alone. You deserve a person at \
                 your side with this.",
                "Thank you for saying it; you do not have to carry this alone. Please call your local emergency number \
                 now or a crisis line where you live, and go to somebody you trust while you wait. Your readings can \
                 wait.",
                "What you feel matters more than any reading. Please call your local emergency number now or reach a \
                 crisis line, and let somebody stay with you. If there is anything at hand that could hurt you, move \
                 away from it.",
            ],
            Self::Pregnancy => &[
                "With this in a pregnancy, please contact a clinician or your maternity unit now rather than waiting. \
                 If it is heavy or getting worse, please call your local emergency number now.",
                "Please contact a clinician or your maternity unit right away; in a pregnancy this should be looked at \
                 today. If it gets worse while you wait, call your local emergency number.",
                "In a pregnancy this belongs with people who can examine you: please contact a clinician or your \
                 maternity unit now, and your local emergency number if it becomes strong.",
            ],
            Self::Clinician => &[
                "Please contact a clinician about this, today if you can; it needs somebody who can examine you, and \
                 my readings cannot settle it. If it suddenly gets worse, call your local emergency number.",
                "This is one for a clinician: please contact one soon, today if it is new. Should it become sudden or \
                 strong, call your local emergency number.",
                "I would not judge this from a wearable. Please contact a clinician about it, and call your local \
                 emergency number if it quickly gets worse.",
            ],
            Self::Medicines => &[
                "I cannot advise on medicines or supplements, and please change nothing on my account. A clinician or \
                 pharmacist who knows you can answer that; I am happy to talk about sleep, load and recovery.",
                "That is a question for a clinician or a pharmacist, so please leave things as they were agreed until \
                 you have asked. What I can help with is sleep, load, stress and recovery.",
                "Medicines and supplements are outside what I may advise on; please contact a clinician or pharmacist \
                 and keep to what they told you. I can look at your nights and your load with you.",
            ],
            Self::HighPressure => &[
                "Before anything else: your blood pressure was very far above your usual range {when}, so please \
                 contact a clinician today. If you also have a strong headache, pain in the chest, weakness, or \
                 trouble seeing or speaking, please call your local emergency number now.",
                "Your blood pressure {when} was so far above your own range that a clinician should know: please \
                 contact a clinician today. With a bad headache, chest pain, weakness, or trouble with sight or \
                 speech, call your local emergency number now.",
                "Please contact a clinician today, because your blood pressure {when} lay very far above what is usual \
                 for you. If you feel pain in the chest, a severe headache, weakness or confusion, call your local \
                 emergency number now.",
            ],
            Self::HighGlucose => &[
                "Before anything else: your glucose was very far above your usual range {when}, so please contact a \
                 clinician today. If you feel sick, very thirsty, drowsy or confused, please call your local emergency \
                 number now.",
                "Your glucose {when} was so far above your own range that a clinician should know: please contact a \
                 clinician today. With vomiting, drowsiness, confusion or deep fast breathing, call your local \
                 emergency number now.",
                "Please contact a clinician today, because your glucose {when} lay very far above what is usual for \
                 you. If you become drowsy, confused or sick to your stomach, call your local emergency number now.",
            ],
            Self::Alarm => &[
                "Before anything else: several of your signals are very far from your usual range, so please contact a \
                 clinician today, sooner if you feel ill. With trouble breathing, chest pain or confusion, call your \
                 local emergency number now.",
                "What your devices saw is far enough from your normal that a clinician should know: please contact a \
                 clinician today. If breathing is hard, your chest hurts or you feel confused, call your local \
                 emergency number now.",
                "Please contact a clinician today; your readings lie very far outside your own range. If you feel \
                 seriously unwell, short of breath or confused, call your local emergency number now.",
            ],
        }
    }

    /// What an agent says that follows somebody who has already pointed to care.
    fn next_words(self) -> &'static [&'static str; 3] {
        match self {
            Self::Emergency | Self::Crisis => &[
                "Please do that first: call your local emergency number now. Everything I could plan with you can \
                 wait.",
                "Nothing from me until you have help: please call your local emergency number now.",
                "The call comes first: please call your local emergency number now. I am here afterwards.",
            ],
            Self::Pregnancy | Self::Clinician | Self::Medicines => &[
                "I have nothing to add to that: please contact a clinician first, and we plan afterwards.",
                "I would make no plan before that is answered, so please contact a clinician first.",
                "That comes first for me too: please contact a clinician, and we can plan when you have heard from \
                 them.",
            ],
            Self::HighPressure | Self::HighGlucose | Self::Alarm => &[
                "The only plan for now is that: please contact a clinician, and leave training and anything strenuous \
                 until you have. Sit down in peace, measure again as you usually do, and have the readings ready.",
                "Please contact a clinician first. Until you have spoken to one, no training and no heavy work; note \
                 how you feel and when you measured, so that you can tell them.",
                "Please contact a clinician, and keep things quiet until then: no training, nothing heavy, somebody \
                 within reach. Keep your readings and the times at hand for the call.",
            ],
        }
    }
}

/// Whether something has come often enough that a clinician should hear of it, urgent or not.
pub(crate) fn keeps_coming(trigger: &TriggerType, repeat: Repeat) -> bool {
    let Repeat::Again { times, .. } = repeat else { return false };
    match trigger {
        TriggerType::BloodPressureSpike | TriggerType::GlucoseSpike | TriggerType::InflammationRisk => times >= 3,
        _ => times >= 5,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn red_flags_are_seen_however_they_are_written() {
        for (text, care) in [
            ("I have CHEST-PAIN since noon", Care::Emergency),
            ("i can’t breathe", Care::Emergency),
            ("I nearly fainted on the stairs", Care::Emergency),
            ("my chest is really hurting", Care::Emergency),
            ("my heart is racing and I can't catch my breath", Care::Emergency),
            ("pain going down my left arm", Care::Emergency),
            ("I coughed and there was some blood", Care::Emergency),
            ("I took a whole bottle of pills", Care::Crisis),
            ("Sometimes I think nobody would miss me.", Care::Crisis),
            ("23 weeks pregnant, the baby hasn't moved today", Care::Pregnancy),
            ("my face is drooping", Care::Emergency),
            ("I don't want to live like this", Care::Crisis),
            ("thinking about self-harm", Care::Crisis),
            ("there is blood in my urine", Care::Clinician),
            ("I am pregnant and have cramps", Care::Pregnancy),
            ("should I stop my tablets?", Care::Medicines),
        ] {
            assert_eq!(Care::in_words(text), Some(care), "{text}");
        }
    }

    #[test]
    fn everyday_words_are_no_red_flags() {
        for text in [
            "my heart rate is low",
            "I am dying to run again",
            "ran 9 kms",
            "crushing my workouts",
            "chest day at the gym",
            "no pain no gain",
            "blood sugar after lunch",
            "I passed my exam out of town",
            "I faintly remember",
            "what is blood pressure?",
        ] {
            assert_eq!(Care::in_words(text), None, "{text}");
        }
    }
}
