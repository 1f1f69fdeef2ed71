//! Upgrades that work: what came waits, what was kept stays.

mod common;

use common::{Place, wait_for};
use livepatch_component::{How, Request, Status, Transfer};

#[test]
fn nothing_is_lost_over_upgrades_and_data_stays() {
    let place = Place::new();
    place.counter("1.0.0", &[]);
    place.counter("1.0.1", &[]);
    place.counter("2.0.0", &["WIDE"]);
    let component = place.run("counter", "1.0.0", &[]);
    let pid = component.show().pid;
    component.command(&["open", place.path("numbers").to_str().expect("plain")]);
    let client = place.client();
    let mut number = 0_u64;
    let mut send = |count: u64| {
        for _ in 0..count {
            number += 1;
            client
                .send(&number.to_le_bytes())
                .expect("the component reads");
        }
        number
    };
    send(1000);
    let expected = [
        ("1.0.1", Transfer::HandedOver),
        ("2.0.0", Transfer::Migrated),
        ("1.0.0", Transfer::Migrated),
    ];
    for (version, transfer) in expected {
        let reply = component.upgrade(version);
        assert_eq!(reply.result, Status::Done, "{reply:?}");
        assert_eq!(reply.history[0].transfer, Some(transfer));
        let sent = send(1000);
        let shown = format!("{version} count {sent} lost 0 late 0 ticks 0 signals 0");
        wait_for("all messages are handled", || {
            component.command(&["show"]) == shown
        });
    }
    assert_eq!(component.show().pid, pid);
    let reply = component.ask(&Request::Rollback {
        how: How::default(),
    });
    assert_eq!(reply.result, Status::Done, "{reply:?}");
    assert_eq!(component.show().version, "2.0.0");
    assert_eq!(component.ask(&Request::History {}).history.len(), 5);
    component.stop();
}
