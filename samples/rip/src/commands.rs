//! What `livepatch component command rip …` understands.

use crate::interfaces::arrange;
use crate::output::set_periodic;
use crate::table::{Data, Table};
use livepatch_module::{Event, Failure, Happened, Host};
use std::net::Ipv4Addr;

const HELP: &str = "\
network INTERFACE            speak RIP there
no network INTERFACE         and no more
passive INTERFACE            listen only
no passive INTERFACE
password INTERFACE PASSWORD  simple password, up to 16 bytes
no password INTERFACE
timers UPDATE TIMEOUT GARBAGE  seconds; 30 180 120 by the RFC
show routes | show interfaces | show config | show counts";

/// Handles a command.
///
/// # Errors
/// When whoever asked is gone.
pub fn command<D: Data>(
    host: &Host<'_>,
    data: &mut D,
    event: &Event<'_>,
    version: &str,
) -> Result<(), Failure> {
    let Happened::Command { id, words } = event.happened else {
        return Err("that is no command".into());
    };
    let words: Vec<&str> = words.lines().collect();
    let (status, answer) = match obey(host, data, &words, version) {
        Ok(answer) => (0, answer),
        Err(failure) => (1, failure.to_string()),
    };
    Ok(host.reply(id, status, &answer)?)
}

fn obey<D: Data>(
    host: &Host<'_>,
    data: &mut D,
    words: &[&str],
    version: &str,
) -> Result<String, Failure> {
    if let ["show", rest @ ..] = words {
        return show(host, data, rest, version);
    }
    let config = &mut data.common().config;
    match words {
        ["network", name] => drop(config.networks.insert((*name).to_owned())),
        ["no", "network", name] => drop(config.networks.remove(*name)),
        ["passive", name] => drop(config.passive.insert((*name).to_owned())),
        ["no", "passive", name] => drop(config.passive.remove(*name)),
        ["password", name, password] if (1..=16).contains(&password.len()) => {
            drop(
                config
                    .passwords
                    .insert((*name).to_owned(), (*password).to_owned()),
            );
        }
        ["no", "password", name] => drop(config.passwords.remove(*name)),
        ["timers", update, timeout, garbage] => {
            let [update, timeout, garbage] =
                [seconds(update)?, seconds(timeout)?, seconds(garbage)?];
            config.update = update;
            config.timeout = timeout;
            config.garbage = garbage;
            set_periodic(host, data.common());
        }
        _ => return Err(HELP.into()),
    }
    arrange(host, data);
    Ok(String::new())
}

fn seconds(text: &str) -> Result<u64, Failure> {
    let number = text.parse().ok();
    let number = number.filter(|number| (1..=86400).contains(number));
    number.ok_or_else(|| format!("`{text}` is no number of seconds from 1 to 86400").into())
}

fn show<D: Data>(
    host: &Host<'_>,
    data: &D,
    words: &[&str],
    version: &str,
) -> Result<String, Failure> {
    let lines: Vec<String> = match words {
        ["routes"] => routes(host, data),
        ["interfaces"] => interfaces(data),
        ["config"] => config(data),
        ["counts"] => {
            let counts = data.view().0.counts;
            vec![format!(
                "version {version} responses {} requests {} bad {} updates {}",
                counts.responses, counts.requests, counts.bad, counts.updates
            )]
        }
        _ => return Err(HELP.into()),
    };
    Ok(lines.join("\n"))
}

fn routes<D: Data>(host: &Host<'_>, data: &D) -> Vec<String> {
    let (common, table) = data.view();
    let now = host.now();
    let line = |route: &crate::Route| {
        let name = common.interfaces.get(&route.interface);
        let name = name.map_or("?", |interface| interface.name.as_str());
        let via = match route.gateway {
            0 => "connected".to_owned(),
            gateway => format!("via {}", Ipv4Addr::from(gateway)),
        };
        let mut line = format!("{} metric {} {via} on {name}", route.prefix, route.metric);
        if let Some(ends) = route.ends {
            line += &format!(", ends in {} s", ends.since(now).as_secs());
        }
        if let Some(since) = table.since(route.prefix) {
            line += &format!(", for {} s", now.since(since).as_secs());
        }
        line
    };
    table.routes().map(line).collect()
}

fn interfaces<D: Data>(data: &D) -> Vec<String> {
    let interfaces = data.view().0.interfaces.iter();
    let line = |(index, interface): (&u32, &crate::Interface)| {
        let address = Ipv4Addr::from(interface.address);
        let state = if interface.is_up { "up" } else { "down" };
        let rip = if interface.socket.is_some() {
            ", rip"
        } else {
            ""
        };
        format!(
            "{index} {} {address}/{} {state}{rip}",
            interface.name, interface.length
        )
    };
    interfaces.map(line).collect()
}

fn config<D: Data>(data: &D) -> Vec<String> {
    let config = &data.view().0.config;
    let mut lines = vec![format!(
        "timers {} {} {}",
        config.update, config.timeout, config.garbage
    )];
    let passwords = config.passwords.keys();
    lines.extend(passwords.map(|name| format!("password {name} (set)")));
    lines.extend(config.passive.iter().map(|name| format!("passive {name}")));
    lines.extend(config.networks.iter().map(|name| format!("network {name}")));
    lines
}
