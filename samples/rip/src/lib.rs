//! A RIPv2 router (RFC 2453) as a module: what its versions share.
//!
//! The main task owns its sockets, timers and data, so a new version goes on in the middle of a conversation. Interfaces and
//! addresses come from the kernel by netlink, and routes go there, marked as RIP's (`RTPROT_RIP`). All else is set by commands
//! ([`commands`]).
//!
//! Versions 0.0.1 and 0.0.2 keep their routes in a list, 0.1.0 in a map. 0.0.1 lacks one of the checks of section 3.9.2: it
//! believes responses that do not come from the RIP port, which anybody may send; 0.0.2 has it.

mod commands;
mod input;
mod interfaces;
mod netlink;
mod output;
mod packet;
mod state;
mod table;

pub use commands::command;
pub use input::packet;
pub use interfaces::kernel;
pub use output::{periodic, sweep, triggered};
pub use state::{Common, Config, Counts, Interface, Prefix, Route};
pub use table::{Data, First, Second, Table, narrow, widen};

use livepatch_module::{Failure, Host, SocketId};
use std::net::{Ipv4Addr, SocketAddrV4};

/// The port of RIP.
const PORT: u16 = 520;
/// All RIPv2 routers of a network.
const ROUTERS: Ipv4Addr = Ipv4Addr::new(224, 0, 0, 9);

/// The timer of regular updates.
const PERIODIC: u64 = 1;
/// The timer that keeps triggered updates apart.
const TRIGGERED: u64 = 2;
/// The timer of routes that end.
const SWEEP: u64 = 3;

/// What differs between versions of one table.
#[derive(Clone, Copy, Debug)]
pub struct Release {
    /// Its number.
    pub version: &'static str,
    /// Whether responses must come from the RIP port (RFC 2453, 3.9.2).
    pub checks_port: bool,
}

/// Begins: opens the kernel's socket and asks for the interfaces.
///
/// # Errors
/// When that cannot be done.
pub fn init<D: Data>(host: &Host<'_>) -> Result<D, Failure> {
    let netlink = host.open_netlink("netlink", "kernel", netlink::GROUPS)?;
    let mut common = Common::new(host.now().nanos, netlink.0);
    tell_kernel(host, &mut common, netlink::links);
    let mut data = D::new(common);
    output::set_periodic(host, data.common());
    Ok(data)
}

/// Whether the data makes sense: every route leads through an interface that there is.
///
/// # Errors
/// When it does not.
pub fn validate<D: Data>(data: &D) -> Result<(), Failure> {
    let (common, table) = data.view();
    let astray = table.routes().find(|route| {
        route.metric < packet::INFINITY && !common.interfaces.contains_key(&route.interface)
    });
    match astray {
        Some(route) => Err(format!("{} leads through no interface", route.prefix).into()),
        None => Ok(()),
    }
}

/// Sends the kernel a request; why one fails it tells by netlink.
fn tell_kernel(host: &Host<'_>, common: &mut Common, request: impl FnOnce(u32) -> Vec<u8>) {
    common.sequence = common.sequence.wrapping_add(1);
    let bytes = request(common.sequence);
    let nowhere = SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, 0);
    // The component's log has the reason when this fails; routes are told again when they change.
    let _ = host.send(SocketId(common.netlink), nowhere, &bytes);
}
