//! Where traces go.

use serde::{Deserialize, Serialize};

/// Traces for a collector.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TelemetrySection {
    /// Where a collector takes OTLP over HTTP, such as `http://127.0.0.1:4318`; empty where nothing is exported.
    pub otlp_endpoint: String,
    /// The share of what comes without a trace that begins one, 0 to 1.
    pub sample_ratio: f64,
}

impl Default for TelemetrySection {
    fn default() -> Self {
        Self { otlp_endpoint: String::new(), sample_ratio: 0.01 }
    }
}

impl TelemetrySection {
    /// One of so many begins a trace; none where 0.
    #[must_use]
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "the ratio is checked, and 1/ratio is rounded"
    )]
    pub fn every(&self) -> u64 {
        if self.sample_ratio > 0.0 { (1.0 / self.sample_ratio).round() as u64 } else { 0 }
    }

    /// The first key whose value must not be, and what it must be.
    pub(super) fn fault(&self) -> Option<(&'static str, &'static str)> {
        let uri = self.otlp_endpoint.parse::<http::Uri>().ok();
        let good = matches!(uri.as_ref().and_then(http::Uri::scheme_str), Some("http" | "https"));
        let faults = [
            (
                !self.otlp_endpoint.is_empty() && !good,
                "telemetry.otlp_endpoint",
                "must be like http://host:4318, or empty",
            ),
            (!(0.0..=1.0).contains(&self.sample_ratio), "telemetry.sample_ratio", "must be from 0 to 1"),
        ];
        faults.into_iter().find(|(wrong, ..)| *wrong).map(|(_, key, why)| (key, why))
    }
}
