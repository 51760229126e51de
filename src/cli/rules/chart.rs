//! A chart of a backtest: a line a person, a mark an alert, a colour a rule.

use std::path::Path;

use auren::{detect::Rules, rehearsal::Rehearsed};
use chrono::{DateTime, Datelike as _, NaiveDate};
use plotters::prelude::*;

/// The most people that fit on one chart; the first ones by id.
const PEOPLE_MAX: usize = 60;
/// Colours that people with any colour vision tell apart (Okabe and Ito), and two more.
const COLOURS: [RGBColor; 9] = [
    RGBColor(0, 114, 178),
    RGBColor(230, 159, 0),
    RGBColor(0, 158, 115),
    RGBColor(204, 121, 167),
    RGBColor(213, 94, 0),
    RGBColor(86, 180, 233),
    RGBColor(160, 150, 40),
    RGBColor(0, 0, 0),
    RGBColor(140, 80, 40),
];
const DAY_MS: i64 = 86_400_000;

/// Draws the alerts of a backtest.
pub(super) fn draw(file: &Path, rules: &Rules, done: &Rehearsed) -> anyhow::Result<()> {
    let people: Vec<_> = done.people.iter().take(PEOPLE_MAX).collect();
    let day = |at: i64| i32::try_from(at.div_euclid(DAY_MS)).unwrap_or(i32::MAX);
    let first = people.iter().map(|(_, span)| day(span.0)).min().unwrap_or(0);
    let last = people.iter().map(|(_, span)| day(span.1)).max().unwrap_or(0);
    let count = i32::try_from(people.len()).unwrap_or(1);
    let height = 190 + 22 * u32::try_from(people.len()).unwrap_or(1);
    let root = SVGBackend::new(file, (1100, height)).into_drawing_area();
    root.fill(&WHITE)?;
    let weeks = done.user_weeks();
    let left = done.people.len() - people.len();
    let more = if left > 0 { format!(", {left} more people not shown") } else { String::new() };
    let title =
        format!("{} alerts in {weeks:.0} user-weeks of {} people{more}", done.triggers.len(), done.people.len());
    let (plot, legend) = root.titled(&title, ("sans-serif", 20))?.split_vertically(height - 120);
    let mut chart = ChartBuilder::on(&plot)
        .margin(8)
        .x_label_area_size(30)
        .y_label_area_size(110)
        .build_cartesian_2d(first - 1..last + 2, -1..count)?;
    let name = |row: &i32| {
        let user = usize::try_from(*row).ok().and_then(|row| people.get(row));
        user.map_or(String::new(), |(user, _)| user.as_str().chars().take(14).collect())
    };
    chart
        .configure_mesh()
        .disable_y_mesh()
        .light_line_style(WHITE)
        .x_labels(12)
        .y_labels(people.len() + 2)
        .x_label_formatter(&|day| date(*day))
        .y_label_formatter(&name)
        .draw()?;
    for (row, (_, span)) in (0..).zip(&people) {
        let line = [(day(span.0), row), (day(span.1), row)];
        chart.draw_series([PathElement::new(line, RGBColor(200, 200, 200).stroke_width(3))])?;
    }
    #[expect(clippy::cast_precision_loss, reason = "some thousands of alerts")]
    for (index, known) in rules.in_force().iter().enumerate() {
        let colour = COLOURS[index % COLOURS.len()];
        let of = done.triggers.iter().filter(|trigger| known.said(trigger));
        let places: Vec<_> = of
            .clone()
            .filter_map(|trigger| {
                let row = people.iter().position(|(user, _)| **user == trigger.user_id)?;
                Some((day(trigger.timestamp.millis()), i32::try_from(row).ok()?))
            })
            .collect();
        chart.draw_series(places.into_iter().map(|place| Circle::new(place, 5, colour.filled())))?;
        let (column, line) = (index % 3, index / 3);
        let x = 30 + 355 * i32::try_from(column).unwrap_or(0);
        let y = 20 + 30 * i32::try_from(line).unwrap_or(0);
        let rate = of.count() as f64 / weeks.max(f64::MIN_POSITIVE);
        legend.draw(&Circle::new((x, y), 6, colour.filled()))?;
        let text = format!("{}: {rate:.3} a user-week", known.rule.id);
        legend.draw(&Text::new(text, (x + 14, y - 8), ("sans-serif", 15)))?;
    }
    root.present()?;
    Ok(())
}

fn date(day: i32) -> String {
    let date: NaiveDate =
        DateTime::from_timestamp_millis(i64::from(day) * DAY_MS).map(|at| at.date_naive()).unwrap_or_default();
    format!("{}-{:02}-{:02}", date.year(), date.month(), date.day())
}
