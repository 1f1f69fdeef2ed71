//! Connections of TCP outlive every version, with what is on its way in both directions.

mod common;

use common::{Place, Running, wait_for};
use livepatch_component::{How, Status};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};

struct Lines {
    component: Running,
    port: u16,
    _place: Place,
}

impl Lines {
    fn new() -> Self {
        let place = Place::new();
        for (version, defines) in [
            ("1.0.0", &[][..]),
            ("1.1.0", &[]),
            ("broken", &["FAIL_RESTART"]),
        ] {
            place.compile("samples/lines/lines.c", "lines", version, defines);
        }
        let component = place.run("lines", "1.0.0", &[]);
        // A port that was free a moment ago.
        let free = TcpListener::bind("127.0.0.1:0").and_then(|socket| socket.local_addr());
        let port = free.expect("a port").port();
        component.command(&["listen", &port.to_string()]);
        Self {
            component,
            port,
            _place: place,
        }
    }

    fn connect(&self) -> BufReader<TcpStream> {
        let stream = TcpStream::connect(("127.0.0.1", self.port));
        BufReader::new(stream.expect("the component listens"))
    }
}

fn say(client: &mut BufReader<TcpStream>, text: &str) {
    client.get_mut().write_all(text.as_bytes()).expect("open");
}

fn hear(client: &mut BufReader<TcpStream>) -> String {
    let mut line = String::new();
    client.read_line(&mut line).expect("open");
    line
}

#[test]
fn a_line_may_begin_in_one_version_and_end_in_the_next() {
    let lines = Lines::new();
    let mut clients: Vec<_> = (0..5).map(|_| lines.connect()).collect();
    let mut count = 0;
    for (version, runs) in [("1.1.0", "1.1.0"), ("broken", "1.1.0"), ("1.0.0", "1.0.0")] {
        for client in &mut clients {
            say(client, "begun ");
        }
        let reply = lines.component.upgrade(version);
        assert_eq!(reply.result == Status::Done, version == runs, "{reply:?}");
        count += 1;
        for client in &mut clients {
            say(client, "and ended\n");
            assert_eq!(hear(client), format!("{runs} {count} begun and ended\n"));
        }
    }
    assert_eq!(lines.component.show().sockets.len(), 6);
    for client in clients {
        // Only this direction: what waits for an answer gets one.
        client.get_ref().shutdown(Shutdown::Write).expect("open");
    }
    wait_for("all have ended", || {
        lines.component.command(&["show"]) == "opened 5 ended 5"
    });
    assert_eq!(lines.component.show().sockets.len(), 1, "the listener");
    lines.component.stop();
}

#[test]
fn what_is_not_read_yet_comes_after_the_upgrade_too() {
    const LINES: usize = 4000;
    let lines = Lines::new();
    let mut client = lines.connect();
    // Far more than sockets hold: the component keeps what the client does not read.
    let text = format!("{}\n", "x".repeat(180));
    for _ in 0..LINES {
        say(&mut client, &text);
    }
    let standby = How {
        standby: true,
        ..How::default()
    };
    let reply = lines.component.upgrade_how("1.1.0", standby);
    assert_eq!(reply.result, Status::Done, "{reply:?}");
    client.get_ref().shutdown(Shutdown::Write).expect("open");
    let mut answers = String::new();
    client.read_to_string(&mut answers).expect("open");
    let numbers = answers.lines().map(|line| line.split(' ').nth(1));
    let expected = (1..=LINES).map(|number| number.to_string());
    assert!(numbers.eq(expected.map(|number| Some(number.leak() as &str))));
    wait_for("it is closed", || lines.component.show().sockets.len() == 1);
    lines.component.stop();
}

#[test]
fn connections_are_bounded_and_those_that_break_are_ended() {
    let lines = Lines::new();
    let clients: Vec<_> = (0..100).map(|_| lines.connect()).collect();
    wait_for("64 are served", || {
        lines.component.command(&["show"]) == "opened 64 ended 0"
            && lines.component.show().sockets.len() == 65
    });
    for client in &clients {
        // Closes with a reset.
        let socket = client.get_ref();
        let linger = nix::sys::socket::sockopt::Linger;
        let now = libc::linger {
            l_onoff: 1,
            l_linger: 0,
        };
        nix::sys::socket::setsockopt(socket, linger, &now).expect("a socket");
    }
    drop(clients);
    wait_for("all have ended", || {
        lines.component.command(&["show"]) == "opened 64 ended 64"
    });
    let mut client = lines.connect();
    say(&mut client, "again\n");
    assert_eq!(hear(&mut client), "1.0.0 1 again\n");
    lines.component.stop();
}
