//! Interfaces come, go, and get addresses; RIP is spoken on those that the operator named.

use crate::netlink::{self, Told};
use crate::output::{send, trigger};
use crate::packet::{INFINITY, request_all};
use crate::state::{Common, Interface, Route};
use crate::table::{Data, Table};
use crate::{PORT, ROUTERS, tell_kernel};
use livepatch_module::{Event, Failure, Happened, Host, Level, Policy, SocketId, Udp};
use std::net::{Ipv4Addr, SocketAddrV4};

/// Handles what the kernel tells.
///
/// # Errors
/// When it is no message.
pub fn kernel<D: Data>(host: &Host<'_>, data: &mut D, event: &Event<'_>) -> Result<(), Failure> {
    let Happened::Message { data: bytes, .. } = event.happened else {
        return Err("that is no message".into());
    };
    for told in netlink::parse(bytes) {
        note(host, data, told);
    }
    arrange(host, data);
    Ok(())
}

fn note<D: Data>(host: &Host<'_>, data: &mut D, told: Told) {
    let common = data.common();
    match told {
        Told::Link { index, name, is_up } => {
            let interface = common.interfaces.entry(index).or_insert(Interface {
                name: String::new(),
                address: 0,
                length: 0,
                is_up,
                socket: None,
            });
            interface.name = name;
            interface.is_up = is_up;
        }
        Told::NoLink(index) => {
            if let Some(interface) = common.interfaces.get_mut(&index) {
                interface.is_up = false;
            }
        }
        Told::Address {
            index,
            address,
            length,
        } => {
            let interface = common.interfaces.get_mut(&index);
            if let Some(interface) = interface.filter(|interface| interface.address == 0) {
                interface.address = address;
                interface.length = length;
            }
        }
        Told::NoAddress { index, address } => {
            let interface = common.interfaces.get_mut(&index);
            if let Some(interface) = interface.filter(|interface| interface.address == address) {
                interface.address = 0;
            }
        }
        // The first answer has the links; addresses come after them.
        Told::Done if common.sequence == 1 => tell_kernel(host, common, netlink::addresses),
        Told::Done => {}
        Told::Failed(error) => {
            let text = format!("the kernel refused a route (error {error})");
            host.log(Level::Warning, &text);
        }
    }
}

/// Opens and closes sockets, and adds and ends routes, so that they fit the interfaces and the configuration.
pub(crate) fn arrange<D: Data>(host: &Host<'_>, data: &mut D) {
    let indices: Vec<u32> = data.common().interfaces.keys().copied().collect();
    for index in indices {
        let common = data.common();
        let Some(interface) = common.interfaces.get(&index) else {
            continue;
        };
        let is_wanted = common.config.networks.contains(&interface.name);
        let can_be = interface.is_up && interface.address != 0;
        match (is_wanted && can_be, interface.socket) {
            (true, None) => begin(host, data, index),
            (false, Some(socket)) => end(host, data, index, SocketId(socket)),
            _ => {}
        }
    }
}

/// Begins to speak RIP on an interface.
fn begin<D: Data>(host: &Host<'_>, data: &mut D, index: u32) {
    let Some(interface) = data.common().interfaces.get(&index).cloned() else {
        return;
    };
    let opened = host.open_udp(&Udp {
        name: &format!("rip {}", interface.name),
        entry: "packet",
        bind: SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, PORT),
        interface: Some(index),
        multicast: Some(ROUTERS),
        policy: Policy::BackPressure,
    });
    let Ok(socket) = opened else {
        // The component's log tells why; the next change of the interface tries again.
        return;
    };
    let (common, table) = data.parts();
    if let Some(interface) = common.interfaces.get_mut(&index) {
        interface.socket = Some(socket.0);
    }
    let network = Route {
        prefix: interface.prefix(),
        metric: 1,
        tag: 0,
        gateway: 0,
        interface: index,
        ends: None,
        is_changed: true,
    };
    table.put(network, host.now());
    if !common.config.passive.contains(&interface.name) {
        let request = request_all(common.password(&interface.name));
        send(host, socket, SocketAddrV4::new(ROUTERS, PORT), &request);
    }
    trigger(host, data);
}

/// Ends RIP on an interface: what leads there cannot be reached any more.
fn end<D: Data>(host: &Host<'_>, data: &mut D, index: u32, socket: SocketId) {
    // That it is gone already is as good.
    let _ = host.close(socket);
    let (common, table) = data.parts();
    if let Some(interface) = common.interfaces.get_mut(&index) {
        interface.socket = None;
    }
    let lost: Vec<Route> = table
        .routes()
        .filter(|route| route.interface == index && route.metric < INFINITY)
        .copied()
        .collect();
    for route in lost {
        lose(host, common, table, route);
    }
    crate::output::set_sweep(host, data);
    trigger(host, data);
}

/// Marks a route as not to be reached, and has the kernel drop it; it is forgotten after a while.
pub(crate) fn lose(host: &Host<'_>, common: &mut Common, table: &mut impl Table, route: Route) {
    if route.gateway != 0 && route.metric < INFINITY {
        tell_kernel(host, common, |sequence| netlink::delete(&route, sequence));
    }
    let garbage = std::time::Duration::from_secs(common.config.garbage);
    let lost = Route {
        metric: INFINITY,
        ends: Some(host.now() + garbage),
        is_changed: true,
        ..route
    };
    table.put(lost, host.now());
}
