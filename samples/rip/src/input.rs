//! Messages of other routers (RFC 2453, 3.9).

use crate::interfaces::lose;
use crate::netlink;
use crate::output::{answer, answer_all, set_sweep, trigger};
use crate::packet::{Entry, INFINITY, Message, parse};
use crate::state::{Common, Interface, Route};
use crate::table::{Data, Table};
use crate::{PORT, Release, tell_kernel};
use livepatch_module::{Event, Failure, Happened, Host};
use std::net::SocketAddrV4;
use std::time::Duration;

/// Handles a message.
///
/// # Errors
/// When it came from nowhere.
pub fn packet<D: Data>(
    host: &Host<'_>,
    data: &mut D,
    event: &Event<'_>,
    release: Release,
) -> Result<(), Failure> {
    let Happened::Message {
        socket,
        from,
        data: bytes,
        ..
    } = event.happened
    else {
        return Err("that is no message".into());
    };
    let common = data.common();
    let mut interfaces = common.interfaces.iter();
    let here = interfaces.find(|(_, interface)| interface.socket == Some(socket.0));
    let Some((index, interface)) = here.map(|(index, interface)| (*index, interface.clone()))
    else {
        // It was closed since.
        return Ok(());
    };
    match parse(bytes, common.password(&interface.name)) {
        Ok(Message::RequestAll) => {
            common.counts.requests += 1;
            answer_all(host, data, index, socket, from);
        }
        Ok(Message::Request(entries)) => {
            common.counts.requests += 1;
            answer(host, data, &interface, socket, from, &entries);
        }
        Ok(Message::Response(entries)) if believes(common, &interface, from, release) => {
            common.counts.responses += 1;
            let from = u32::from(*from.ip());
            for entry in &entries {
                learn(host, data, index, &interface, from, entry);
            }
            set_sweep(host, data);
            trigger(host, data);
        }
        Ok(Message::Response(_)) | Err(_) => common.counts.bad += 1,
    }
    Ok(())
}

/// Whether a response is from a router next to us (3.9.2).
fn believes(common: &Common, interface: &Interface, from: SocketAddrV4, release: Release) -> bool {
    let address = u32::from(*from.ip());
    let is_ours = common
        .interfaces
        .values()
        .any(|ours| ours.address == address);
    let is_near = interface.prefix().holds(address);
    let is_router = from.port() == PORT || !release.checks_port;
    is_near && !is_ours && is_router
}

/// What one route of a response means for ours (3.9.2).
fn learn<D: Data>(
    host: &Host<'_>,
    data: &mut D,
    index: u32,
    interface: &Interface,
    from: u32,
    entry: &Entry,
) {
    let (common, table) = data.parts();
    let metric = (entry.metric + 1).min(INFINITY);
    let is_near = |hop: u32| hop != 0 && hop != interface.address && interface.prefix().holds(hop);
    let gateway = match is_near(entry.next_hop) {
        true => entry.next_hop,
        false => from,
    };
    let timeout = Duration::from_secs(common.config.timeout);
    let new = Route {
        prefix: entry.prefix,
        metric,
        tag: entry.tag,
        gateway,
        interface: index,
        ends: Some(host.now() + timeout),
        is_changed: true,
    };
    match table.get(entry.prefix).copied() {
        None if metric < INFINITY => adopt(host, common, table, new),
        None => {}
        // Networks of ours are nobody else's to tell.
        Some(known) if known.gateway == 0 && known.metric < INFINITY => {}
        Some(known) if known.gateway == gateway && known.interface == index => {
            if metric == known.metric {
                if metric < INFINITY {
                    let is_changed = known.is_changed;
                    table.put(Route { is_changed, ..new }, host.now());
                }
            } else if metric == INFINITY {
                lose(host, common, table, known);
            } else {
                adopt(host, common, table, new);
            }
        }
        Some(known) if metric < known.metric => adopt(host, common, table, new),
        Some(_) => {}
    }
}

/// Takes a route, and has the kernel take it.
fn adopt(host: &Host<'_>, common: &mut Common, table: &mut impl Table, route: Route) {
    tell_kernel(host, common, |sequence| netlink::add(&route, sequence));
    table.put(route, host.now());
}
