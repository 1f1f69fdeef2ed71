//! The kernel's process events (`linux/connector.h`, `linux/cn_proc.h`) over a netlink socket.

use super::checked;
use nix::sys::socket::{self, MsgFlags, NetlinkAddr, bind, setsockopt, sockopt};
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};

const NETLINK_CONNECTOR: libc::c_int = 11;
/// The group of process events.
const CN_IDX_PROC: u32 = 1;
/// Room for what happens while we are busy: about 50,000 events.
const BUFFER: usize = 4 << 20;

/// Opens a socket that gets process events once they are asked for.
///
/// # Errors
/// `EPERM` without `CAP_NET_ADMIN`, `EPROTONOSUPPORT` on kernels without `CONFIG_CONNECTOR`.
pub fn open() -> io::Result<OwnedFd> {
    let kind = libc::SOCK_DGRAM | libc::SOCK_CLOEXEC;
    // SAFETY: the call takes numbers only.
    let result = unsafe { libc::socket(libc::AF_NETLINK, kind, NETLINK_CONNECTOR) };
    let raw = RawFd::try_from(checked(i64::from(result))?).map_err(io::Error::other)?;
    // SAFETY: the kernel just gave us this descriptor, and nobody else knows it.
    let socket = unsafe { OwnedFd::from_raw_fd(raw) };
    bind(raw, &NetlinkAddr::new(0, CN_IDX_PROC))?;
    // A smaller buffer overflows earlier, which is noticed.
    let _ = setsockopt(&socket, sockopt::RcvBufForce, &BUFFER);
    Ok(socket)
}

/// Sends a message to the kernel.
///
/// # Errors
/// As send(2).
pub fn send(socket: &OwnedFd, message: &[u8]) -> io::Result<()> {
    socket::send(socket.as_raw_fd(), message, MsgFlags::empty())?;
    Ok(())
}

/// Receives a message that is there; `None` when there is none, or one that is not from the kernel.
///
/// # Errors
/// `ENOBUFS` when events were lost.
pub fn receive(socket: &OwnedFd, buffer: &mut [u8]) -> io::Result<Option<usize>> {
    // Anybody may send to a netlink socket, so the sender is looked at.
    let (count, sender) = receive_from(socket, buffer)?;
    Ok((sender == Some(0)).then_some(count))
}

fn receive_from(socket: &OwnedFd, buffer: &mut [u8]) -> io::Result<(usize, Option<u32>)> {
    let mut slices = [io::IoSliceMut::new(buffer)];
    let flags = MsgFlags::MSG_DONTWAIT;
    let got = socket::recvmsg::<NetlinkAddr>(socket.as_raw_fd(), &mut slices, None, flags)?;
    Ok((got.bytes, got.address.map(|sender| sender.pid())))
}
