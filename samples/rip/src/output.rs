//! What is told to other routers: updates, periodic and triggered, and answers (RFC 2453, 3.9.1, 3.10); and the end of routes.

use crate::interfaces::lose;
use crate::packet::{Command, Entry, INFINITY, encode};
use crate::state::{Common, Interface, Route};
use crate::table::{Data, Table};
use crate::{PERIODIC, PORT, ROUTERS, SWEEP, TRIGGERED};
use livepatch_module::{Event, Failure, Host, SocketId};
use std::net::SocketAddrV4;
use std::time::Duration;

/// Triggered updates are at least so far apart, and at most five times so far (3.10.1).
const QUIET_MS: u64 = 1000;

/// Sends; what does not get through is told again with the next update.
pub(crate) fn send(host: &Host<'_>, socket: SocketId, to: SocketAddrV4, bytes: &[u8]) {
    // The component's log has the reason when this fails.
    let _ = host.send(socket, to, bytes);
}

/// The timer of the periodic update went off.
///
/// # Errors
/// Never.
pub fn periodic<D: Data>(host: &Host<'_>, data: &mut D, _: &Event<'_>) -> Result<(), Failure> {
    set_periodic(host, data.common());
    update(host, data, false);
    Ok(())
}

/// Sets the timer of the next periodic update: not at the same moment as other routers.
pub(crate) fn set_periodic(host: &Host<'_>, common: &mut Common) {
    let period = common.config.update * 1000;
    let jitter = common.random(period / 3);
    let delay = Duration::from_millis(period - period / 6 + jitter);
    // The entry is the module's own, and one more timer always fits.
    let _ = host.timer(PERIODIC, host.now() + delay, "periodic");
}

/// Tells changed routes soon: now, or when the last such update is long enough ago.
pub(crate) fn trigger<D: Data>(host: &Host<'_>, data: &mut D) {
    let (common, table) = data.parts();
    if !table.routes().any(|route| route.is_changed) {
        return;
    }
    if common.is_quiet {
        common.is_wanted = true;
        return;
    }
    common.is_quiet = true;
    let quiet = QUIET_MS + common.random(4 * QUIET_MS);
    let _ = host.timer(
        TRIGGERED,
        host.now() + Duration::from_millis(quiet),
        "triggered",
    );
    update(host, data, true);
}

/// The time has passed in which no triggered update may be sent.
///
/// # Errors
/// Never.
pub fn triggered<D: Data>(host: &Host<'_>, data: &mut D, _: &Event<'_>) -> Result<(), Failure> {
    let common = data.common();
    common.is_quiet = false;
    if std::mem::take(&mut common.is_wanted) {
        trigger(host, data);
    }
    Ok(())
}

/// Tells all routes, or those that changed, on every interface that is not passive.
fn update<D: Data>(host: &Host<'_>, data: &mut D, only_changed: bool) {
    let (common, table) = data.parts();
    common.counts.updates += 1;
    for (index, interface) in &common.interfaces {
        let Some(socket) = interface.socket else {
            continue;
        };
        if common.config.passive.contains(&interface.name) {
            continue;
        }
        let routes = table
            .routes()
            .filter(|route| !only_changed || route.is_changed);
        let entries: Vec<Entry> = routes.filter_map(|route| told(route, *index)).collect();
        let password = common.password(&interface.name);
        for message in encode(Command::Response, &entries, password) {
            send(
                host,
                SocketId(socket),
                SocketAddrV4::new(ROUTERS, PORT),
                &message,
            );
        }
    }
    table.settle();
}

/// A route as it is told on an interface: what was learnt there is not to be reached through us (split horizon with poisoned
/// reverse, 3.4.3), and its own network everybody there knows.
fn told(route: &Route, interface: u32) -> Option<Entry> {
    let was_learnt = route.gateway != 0;
    let is_there = route.interface == interface;
    if is_there && !was_learnt {
        return None;
    }
    Some(Entry {
        prefix: route.prefix,
        tag: route.tag,
        next_hop: 0,
        metric: if is_there { INFINITY } else { route.metric },
    })
}

/// Answers a request for all routes.
pub(crate) fn answer_all<D: Data>(
    host: &Host<'_>,
    data: &D,
    index: u32,
    socket: SocketId,
    to: SocketAddrV4,
) {
    let (common, table) = data.view();
    let Some(interface) = common.interfaces.get(&index) else {
        return;
    };
    let entries: Vec<Entry> = table
        .routes()
        .filter_map(|route| told(route, index))
        .collect();
    for message in encode(
        Command::Response,
        &entries,
        common.password(&interface.name),
    ) {
        send(host, socket, to, &message);
    }
}

/// Answers a request for certain routes: as they are, without split horizon (3.9.1).
pub(crate) fn answer<D: Data>(
    host: &Host<'_>,
    data: &D,
    interface: &Interface,
    socket: SocketId,
    to: SocketAddrV4,
    wanted: &[Entry],
) {
    let (common, table) = data.view();
    let entries: Vec<Entry> = wanted
        .iter()
        .map(|entry| Entry {
            metric: table
                .get(entry.prefix)
                .map_or(INFINITY, |route| route.metric),
            ..*entry
        })
        .collect();
    for message in encode(
        Command::Response,
        &entries,
        common.password(&interface.name),
    ) {
        send(host, socket, to, &message);
    }
}

/// Sets the timer of the first route that ends.
pub(crate) fn set_sweep<D: Data>(host: &Host<'_>, data: &D) {
    let (_, table) = data.view();
    match table.routes().filter_map(|route| route.ends).min() {
        Some(first) => {
            // The entry is the module's own, and one more timer always fits.
            let _ = host.timer(SWEEP, first, "sweep");
        }
        None => host.cancel(SWEEP),
    }
}

/// Some route is too old, or to be forgotten.
///
/// # Errors
/// Never.
pub fn sweep<D: Data>(host: &Host<'_>, data: &mut D, _: &Event<'_>) -> Result<(), Failure> {
    let now = host.now();
    let (common, table) = data.parts();
    let ended = table
        .routes()
        .filter(|route| route.ends.is_some_and(|ends| ends <= now));
    let ended: Vec<Route> = ended.copied().collect();
    for route in ended {
        match route.metric {
            INFINITY => table.remove(route.prefix),
            _ => lose(host, common, table, route),
        }
    }
    set_sweep(host, data);
    trigger(host, data);
    Ok(())
}
