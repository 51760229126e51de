//! Files as people have them, and what becomes of them.

use proptest::prelude::*;

use super::*;
use crate::wearable::{Measure, Row};

const HEADER: &str = "person,date,rmssd_ms,resting_hr_bpm,steps\n";

fn mapping(headers: &str) -> Mapping {
    Heading::read(headers.as_bytes()).unwrap().guess().mapping
}

fn import_with(text: impl AsRef<[u8]>, mapping: &Mapping) -> (Vec<Row>, Vec<ImportError>) {
    let mut rows = Vec::new();
    let mut errors = Vec::new();
    for row in Importer::new(text.as_ref(), mapping).unwrap() {
        match row {
            Ok(row) => rows.push(row),
            Err(error) => errors.push(error),
        }
    }
    (rows, errors)
}

fn import(lines: &str) -> (Vec<Row>, Vec<ImportError>) {
    import_with(format!("{HEADER}{lines}"), &mapping(HEADER))
}

fn refused(text: impl AsRef<[u8]>, mapping: &Mapping) -> ImportError {
    let Err(error) = Importer::new(text.as_ref(), mapping) else { panic!("taken") };
    assert!(error.is_fatal());
    error
}

#[test]
fn a_line_gives_a_row_for_each_cell_that_says_something() {
    let (rows, errors) = import("P01,2021-05-24,41.5,61,8000\nP02,2021-05-24,,55.25,\n");
    assert!(errors.is_empty(), "{errors:?}");
    let told: Vec<_> = rows
        .iter()
        .map(|row| (row.user.as_str(), &*row.measure, row.value, &*row.unit, row.at.as_str(), &*row.context))
        .collect();
    assert_eq!(
        told,
        [
            ("P01", "rmssd", 41.5, "ms", "2021-05-24T08:00:00Z", "sleep"),
            ("P01", "resting_heart_rate", 61.0, "bpm", "2021-05-24T08:00:00Z", "sleep"),
            ("P01", "steps", 8000.0, "count", "2021-05-24T22:00:00Z", "day"),
            ("P02", "resting_heart_rate", 55.25, "bpm", "2021-05-24T08:00:00Z", "sleep"),
        ]
    );
    assert!(rows.iter().all(|row| &*row.device == "csv import"));
}

#[test]
fn a_byte_order_mark_windows_line_ends_quotes_and_blank_lines_do_no_harm() {
    let text = "\u{feff}\"person\",date,rmssd_ms,note\r\n\"P, 01\",2021-05-24,\"41.5\",\"two\r\nlines\"\r\n\r\nP2,2021-05-25, 40 ,\r\n";
    let (rows, errors) = import_with(text, &mapping(text));
    assert!(errors.is_empty(), "{errors:?}");
    assert_eq!(
        rows.iter().map(|row| (row.user.as_str(), row.value)).collect::<Vec<_>>(),
        [("P, 01", 41.5), ("P2", 40.0)]
    );
}

#[test]
fn semicolons_and_decimal_commas_are_read_where_they_are_expected() {
    let text = "person;date;rmssd_ms;steps\nP1;2021-05-24;41,5;1.234\nP1;2021-05-25;4.15;12.34,5\n";
    let mut mapping = mapping(text);
    assert_eq!(mapping.delimiter, ';');
    let (rows, errors) = import_with(text, &mapping);
    assert_eq!((rows.len(), errors.len()), (2, 2));
    assert_eq!(errors[0].to_string().split("; ").next(), Some("line 2, column \"rmssd_ms\": has a comma in it"));
    mapping.decimal_comma = true;
    let (rows, errors) = import_with(text, &mapping);
    assert_eq!(rows.iter().map(|row| row.value).collect::<Vec<_>>(), [41.5, 1234.0]);
    assert_eq!(errors.iter().map(|error| error.line).collect::<Vec<_>>(), [3, 3]);
}

#[test]
fn a_bad_line_is_named_and_the_next_one_is_read() {
    let lines = "P01,2021-05-24,fast,61,\nP01,2021-13-24,40,61,\n,2021-05-24,40,,\nP01,,40,,\nP01,2021-05-24,40\n\
                 ann@example.org,2021-05-24,40,,\nP01,2021-05-24,0.0,,\nP01,2021-05-24,inf,,\nP01,2021-05-24,40,,\n";
    let (rows, errors) = import(lines);
    assert_eq!(rows.len(), 2);
    let said: Vec<String> = errors.iter().map(ToString::to_string).collect();
    let expected = [
        "line 2, column \"rmssd_ms\": is not a number",
        "line 3, column \"date\": is not a time",
        "line 4, column \"person\": says nobody",
        "line 5, column \"date\": is blank",
        "line 6: 3 cells where the header line has 5",
        "line 7, column \"person\": looks like an e-mail address",
        "line 8, column \"rmssd_ms\": is outside 2 to 400 ms: a device fault",
        "line 9, column \"rmssd_ms\": is not a number",
    ];
    for (said, expected) in said.iter().zip(expected) {
        assert!(said.starts_with(expected), "{said}");
        assert!(!said.contains("fast") && !said.contains("2021") && !said.contains("ann@"), "{said}");
    }
    assert_eq!(said.len(), expected.len());
    assert!(errors.iter().all(|error| !error.is_fatal()));
}

#[test]
fn a_line_that_measures_nothing_is_passed_over() {
    let (rows, errors) = import("P01,2021-05-24,,,\n,,,,\nP01,2021-05-25,NaN,n/a,--\nP01,2021-05-26,40,,,,,\n");
    assert_eq!((rows.len(), errors.len()), (1, 0), "{errors:?}");
}

#[test]
fn bytes_that_are_no_text_spoil_their_cell_only() {
    let mut text = HEADER.as_bytes().to_vec();
    text.extend_from_slice(b"P01,2021-05-24,4\xff,61,\nP\xff,2021-05-24,40,,\n");
    let (rows, errors) = import_with(text, &mapping(HEADER));
    assert_eq!(rows.len(), 1);
    assert!(errors.iter().all(|error| matches!(error.problem, Problem::NotUtf8)));
    assert_eq!(errors.len(), 2);
}

#[test]
fn a_quotation_mark_left_open_does_not_fill_the_memory() {
    let mut text = format!("{HEADER}P01,2021-05-24,40,,\nP01,2021-05-25,\"40,,\n");
    text.push_str(&"P01,2021-05-26,40,,\n".repeat(2 * LINE_MAX / 20));
    let (rows, errors) = import_with(text, &mapping(HEADER));
    assert_eq!((rows.len(), errors.len()), (1, 1));
    assert!(errors[0].is_fatal());
    assert!(errors[0].to_string().starts_with("line 3: the line does not end within 1024 KiB"), "{}", errors[0]);
}

#[test]
fn a_file_that_does_not_fit_the_mapping_is_refused_at_once() {
    let fits = mapping(HEADER);
    let error = refused("person,day,rmssd_ms,resting_hr_bpm,steps\n", &fits);
    assert!(error.to_string().starts_with("line 1, column \"date\": no such column"), "{error}");
    let error = refused("person,date,rmssd_ms,rmssd_ms,resting_hr_bpm,steps\n", &fits);
    assert!(error.to_string().contains("more than once"), "{error}");
    let error = refused(HEADER, &Mapping { columns: Vec::new(), ..fits });
    assert!(error.to_string().contains("columns must be 1 to 256"), "{error}");
}

#[test]
fn a_file_without_headers_is_not_taken_for_headers() {
    let no_headers = |text: &[u8]| Heading::read(text).unwrap_err().to_string();
    assert!(no_headers(b"P01,2021-05-24,41.5\n").contains("looks like data"));
    assert!(no_headers(b"").contains("no header line"));
    assert!(no_headers(b"\xff\xfep\0e\0").contains("UTF-16"));
    assert!(no_headers(b"p\xe4rson,date\n").contains("not UTF-8"));
}

#[test]
fn a_mapping_is_written_and_read_again() {
    let text = r#"
        delimiter = ";"
        user = { value = "u-1" }
        time = { column = "Date", clock = "Time", format = "%d.%m.%Y %H:%M", offset = "+02:00" }
        device = { column = "Meter", value = "cuff" }

        [[columns]]
        column = "Glucose (mmol/L)"
        measure = "glucose"
        factor = 18.016
        context = "after_meal"

        [[columns]]
        column = "SpO2"
        measure = "oxygen_saturation"
        unit = "percent"
        event_type = "biometric_alert"
        least = 50
        most = 100
    "#;
    let mapping = Mapping::from_toml(text).unwrap();
    assert_eq!(Mapping::from_toml(&mapping.to_toml().unwrap()).unwrap(), mapping);
    let file = "Date;Time;Meter;Glucose (mmol/L);SpO2\n03.04.2023;21:05;;5.5;97\n03.04.2023;21:05;pen;;20\n";
    let (rows, errors) = import_with(file, &mapping);
    assert_eq!(errors.len(), 1);
    assert_eq!(rows[0].at.as_str(), "2023-04-03T21:05:00+02:00");
    assert!((rows[0].value - 99.1).abs() < 0.1 && &*rows[0].unit == "mg/dL");
    assert_eq!((&*rows[0].device, &*rows[0].context), ("cuff", "after_meal"));
    assert_eq!(
        (&*rows[1].measure, rows[1].value, rows[1].event_type.as_str()),
        ("oxygen_saturation", 97.0, "biometric_alert")
    );
}

#[test]
fn a_mapping_that_cannot_work_is_refused_with_its_field() {
    let base = "user = { column = \"p\" }\ntime = { column = \"d\" }\n";
    let column = "[[columns]]\ncolumn = \"x\"\n";
    for (text, field) in [
        (format!("{base}{column}measure = \"spo2\"\n"), "columns[0].unit"),
        (format!("{base}{column}measure = \"rmssd\"\nunit = \"s\"\n"), "columns[0].unit"),
        (format!("{base}{column}measure = \"rmssd\"\nfactor = 0\n"), "columns[0].factor"),
        (format!("{base}{column}measure = \"rmssd\"\nleast = 9\nmost = 8\n"), "columns[0].least"),
        (format!("{base}{column}measure = \"rmssd\"\nat = \"8 o'clock\"\n"), "columns[0].at"),
        (format!("delimiter = \"ö\"\n{base}{column}measure = \"rmssd\"\n"), "delimiter"),
        (format!("user = {{}}\ntime = {{ column = \"d\" }}\n{column}measure = \"rmssd\"\n"), "user"),
        (format!("{base}columns = []\n"), "columns"),
        (format!("{base}colums = []\n"), "unknown field"),
    ] {
        let error = Mapping::from_toml(&text).unwrap_err().to_string();
        assert!(error.contains(field), "{field}: {error}");
    }
    let time = |time| format!("user = {{ column = \"p\" }}\n{time}\n{column}measure = \"rmssd\"\n");
    for (text, field) in [
        ("time = { column = \"d\", format = \"DD/MM\" }", "time.format"),
        ("time = { column = \"d\", offset = \"CET\" }", "time.offset"),
    ] {
        assert!(Mapping::from_toml(&time(text)).unwrap_err().to_string().starts_with(field));
    }
}

fn guessed(headers: &str) -> (Vec<(String, String)>, Vec<String>, Vec<&'static str>) {
    let guess = Heading::read(headers.as_bytes()).unwrap().guess();
    let understood = guess.understood.into_iter().map(|understood| (understood.column, understood.meaning)).collect();
    (understood, guess.left_out.into_iter().map(|left| left.column).collect(), guess.missing)
}

#[test]
fn daily_fitbit_columns_are_understood() {
    let (understood, left_out, missing) = guessed(
        "person,date,rmssd_ms,resting_hr_bpm,sleep_duration_ms,minutes_asleep,sleep_efficiency_pct,\
         breathing_rate_per_min,nightly_temperature_c,steps,tired,tense\n",
    );
    let meanings: Vec<&str> = understood.iter().map(|(_, meaning)| &**meaning).collect();
    assert_eq!(
        meanings,
        [
            "user",
            "time",
            "rmssd in ms",
            "resting_heart_rate in bpm",
            "asleep in min",
            "sleep_efficiency in percent",
            "breathing_rate in per_min",
            "skin_temperature in celsius",
            "steps in count",
        ]
    );
    assert_eq!(left_out, ["sleep_duration_ms", "tired", "tense"]);
    assert!(missing.is_empty());
}

#[test]
fn other_exports_are_understood_where_they_are_clear() {
    let meaning = |header: &str| {
        let (understood, ..) = guessed(&format!("user_id,date,{header}\n"));
        understood.get(2).map(|(_, meaning)| meaning.clone())
    };
    for (header, expected) in [
        ("Average HRV", Some("rmssd in ms")),
        ("Total Sleep Duration", Some("asleep in min, from s")),
        ("Sleep Analysis [Asleep] (hr)", Some("asleep in min, from h")),
        ("restingHeartRate", Some("resting_heart_rate in bpm")),
        ("Resting Heart Rate (count/min)", Some("resting_heart_rate in bpm")),
        ("Respiratory Rate (count/min)", Some("breathing_rate in per_min")),
        ("Respiratory rate (rpm)", Some("breathing_rate in per_min")),
        ("Skin temp (°C)", Some("skin_temperature in celsius")),
        ("Wrist Temperature (degF)", Some("skin_temperature in celsius, from fahrenheit")),
        ("Blood Pressure [Systolic] (mmHg)", Some("systolic in mmHg")),
        ("Blood Glucose (mg/dL)", Some("glucose in mg/dL")),
        ("Historic Glucose mmol/L", Some("glucose in mg/dL, from mmol/L")),
        ("Sleep efficiency %", Some("sleep_efficiency in percent")),
        ("Active Energy (kJ)", Some("energy in kcal, from kJ")),
        ("Heart Rate Variability (ms)", None),
        ("Temperature Deviation (°C)", None),
        ("rmssd_pct", None),
        ("email", None),
        ("weather", None),
    ] {
        assert_eq!(meaning(header).as_deref(), expected, "{header}");
    }
}

#[test]
fn what_a_guess_lacks_is_said() {
    let (understood, left_out, missing) = guessed("Weather;Mood\n");
    assert_eq!((understood.len(), left_out.len()), (1, 1));
    assert_eq!(missing, ["user", "time.column"]);
    let guess = Heading::read(&b"date,time,start_time,HRV\n"[..]).unwrap().guess();
    assert_eq!(guess.missing, ["user", "columns"]);
    assert_eq!(guess.mapping.time.column, "start_time");
    let guess = Heading::read(&b"id,date,time,systolic\n"[..]).unwrap().guess();
    assert_eq!((guess.mapping.time.column.as_str(), guess.mapping.time.clock.as_deref()), ("date", Some("time")));
}

#[test]
fn a_guess_for_every_known_measure_can_be_used() {
    let names: Vec<&str> = Measure::ALL.iter().map(|measure| measure.name()).collect();
    let guess = Mapping::guess(&[&["user", "timestamp"], &*names].concat());
    assert_eq!(guess.mapping.columns.len(), names.len());
    assert_eq!(guess.mapping.check(), Ok(()));
    assert_eq!(Mapping::from_toml(&guess.mapping.to_toml().unwrap()).unwrap(), guess.mapping);
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic_or_go_on_for_ever(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        let mut text = HEADER.as_bytes().to_vec();
        text.extend_from_slice(&bytes);
        let (rows, errors) = import_with(&text, &mapping(HEADER));
        prop_assert!(rows.len() + errors.len() <= 3 * (bytes.len() + 1));
        if let Ok(heading) = Heading::read(&*bytes) {
            let _ = Importer::new(&*bytes, &heading.guess().mapping).map(Iterator::count);
        }
    }

    #[test]
    fn an_error_says_nothing_of_a_cell(secret in "[a-z]{6}[0-9]{4}") {
        let lines = format!("P1,2021-05-24,{secret},,\nP1,{secret},40,,\n{secret}@x,2021-05-24,40,,\n{secret},40\n");
        let (rows, errors) = import(&lines);
        prop_assert!(rows.is_empty());
        for error in errors {
            let shown = format!("{error} {error:?}");
            prop_assert!(!shown.contains(&secret), "{}", shown);
        }
    }

    #[test]
    fn a_value_comes_out_as_it_went_in(value in 2.0..400.0_f64, comma: bool) {
        let written = if comma { format!("\"{}\"", value.to_string().replace('.', ",")) } else { value.to_string() };
        let mapping = Mapping { decimal_comma: comma, ..mapping(HEADER) };
        let (rows, errors) = import_with(format!("{HEADER}P1,2021-05-24,{written},,\n"), &mapping);
        prop_assert!(errors.is_empty());
        prop_assert_eq!(rows[0].value, value);
    }
}
