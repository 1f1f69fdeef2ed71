//! Version 0.0.2: responses must come from the RIP port.

use livepatch_module::{Event, Failure, Host, Module, export};
use livepatch_rip::{First, Release, Second, narrow};

const RELEASE: Release = Release {
    version: "0.0.2",
    checks_port: true,
};

struct Rip;

impl Module for Rip {
    const NAME: &'static str = "rip";
    const VERSION: &'static str = RELEASE.version;
    type State = First;

    fn init(host: &Host<'_>) -> Result<First, Failure> {
        livepatch_rip::init(host)
    }

    fn validate(_host: &Host<'_>, data: &First) -> Result<(), Failure> {
        livepatch_rip::validate(data)
    }
}

fn packet(host: &Host<'_>, data: &mut First, event: &Event<'_>) -> Result<(), Failure> {
    livepatch_rip::packet(host, data, event, RELEASE)
}

fn kernel(host: &Host<'_>, data: &mut First, event: &Event<'_>) -> Result<(), Failure> {
    livepatch_rip::kernel(host, data, event)
}

fn periodic(host: &Host<'_>, data: &mut First, event: &Event<'_>) -> Result<(), Failure> {
    livepatch_rip::periodic(host, data, event)
}

fn triggered(host: &Host<'_>, data: &mut First, event: &Event<'_>) -> Result<(), Failure> {
    livepatch_rip::triggered(host, data, event)
}

fn sweep(host: &Host<'_>, data: &mut First, event: &Event<'_>) -> Result<(), Failure> {
    livepatch_rip::sweep(host, data, event)
}

fn command(host: &Host<'_>, data: &mut First, event: &Event<'_>) -> Result<(), Failure> {
    livepatch_rip::command(host, data, event, RELEASE.version)
}

export! {
    module: Rip,
    entries: [packet, kernel, periodic, triggered, sweep, command],
    migrations: [Second => narrow],
}
