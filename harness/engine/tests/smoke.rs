use ftpspec::*;
use std::sync::Arc;
#[tokio::main]
async fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let catalogue = match Catalogue::embedded() {
        Ok(c) => c,
        Err(e) => {
            for d in e {
                println!("{}", d.render());
            }
            return;
        }
    };
    let mut defect = None;
    let mut selectors = vec![];
    let mut subject = None;
    let mut verbose = false;
    for a in &args {
        if let Some(d) = a.strip_prefix("defect=") {
            defect = Some(catalogue.defect(d).expect("defect").clone());
        } else if let Some(p) = a.strip_prefix("peer=") {
            subject = Some(Subject::Container { peer: p.into(), suite: "bookworm".into() });
        } else if a == "-v" {
            verbose = true;
        } else {
            selectors.push(a.parse().expect("selector"));
        }
    }
    let variants = schedule(&catalogue, &selectors).expect("select");
    let subject = subject.unwrap_or(Subject::Reference { defect });
    let began = std::time::Instant::now();
    let stage = Arc::new(
        Stage::new(
            subject,
            catalogue,
            Limits::default().at_most(std::time::Duration::from_secs(3)),
            Effects::Intrusive,
            String::new(),
        )
        .await
        .expect("stage"),
    );
    println!("{:#?}", stage.probe());
    let (_stop, stopped) = tokio::sync::watch::channel(false);
    let s = Schedule {
        variants,
        jobs: 4,
        repeat: 1,
        fail_fast: false,
        strict: false,
        baseline: None,
        today: "2026-11-20".into(),
    };
    let r = run(stage, s, stopped, |e| {
        if let RunEvent::CaseFinished(r) = e
            && (r.verdict != Verdict::Pass || verbose)
        {
            println!(
                "{} {} {}ms reason={:?} diag={:?}",
                r.verdict,
                r.name(),
                r.duration_ms,
                r.reason,
                r.diagnosis.as_ref().map(|d| &d.id)
            );
            for n in &r.notes {
                println!("   note {n}");
            }
            if let Some(e) = &r.evidence {
                println!("   {}:{} due {} came {} also {:?}", e.file, e.line, e.due, e.came, e.also);
                if verbose {
                    for l in &e.conversation {
                        println!("      {l}");
                    }
                }
            } else if verbose {
                for l in &r.transcript {
                    println!("      {l}");
                }
            }
        }
        if let RunEvent::Trouble { text } = e {
            println!("TROUBLE {text}");
        }
    })
    .await;
    println!("{:?} {:?}", r.map(|r| r.summary), began.elapsed());
}
