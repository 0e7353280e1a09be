//! `konnichiwa`: whether the store is there, and what an audit of it found.

use temp_messenger_core::{
    api::Api,
    store::{Finding, Grade},
};

use crate::{
    args::Call,
    commands::{Streams, json},
    failure::Failure,
    text::visible,
};

pub(crate) async fn ask(call: &Call, api: &dyn Api, streams: &mut Streams<'_>) -> Result<(), Failure> {
    let answer = api.konnichiwa().await?;
    if call.json {
        return streams.line(json(&answer)?);
    }
    let (kind, version) = (visible(&answer.kind), visible(&answer.version));
    let (round_trip, difference) = (answer.round_trip, answer.clock_difference);
    streams.line(format_args!("{} {kind} {version}, {round_trip:.1} ms, clock {difference:+} ms", answer.greeting))?;
    for Finding { grade, title, text, remedy } in &answer.findings {
        let sign = match grade {
            Grade::Good => "ok",
            Grade::Look => "!!",
            Grade::Unknown => "??",
        };
        streams.line(format_args!("  {sign}  {}. {}", visible(title), visible(text)))?;
        if let Some(remedy) = remedy {
            streams.line(format_args!("      {}", visible(remedy)))?;
        }
    }
    if answer.skipped > 0 {
        streams.line(format_args!("  ??  {} values that are none of ours were skipped.", answer.skipped))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use crate::commands::tests::bench;

    #[tokio::test]
    async fn konnichiwa_is_one_line_or_one_object() {
        let bench = bench();
        let line = bench.says(&["konnichiwa"]).await;
        assert!(line.starts_with("Konnichiwa! memory ") && line.trim_end().ends_with(" ms"), "{line}");
        let object: serde_json::Value = serde_json::from_str(&bench.says(&["konnichiwa", "--json"]).await).unwrap();
        assert_eq!(object["kind"], "memory");
    }
}
