//! The stack check: may the forbidden code be replaced now?

use super::forbidden::{ForbiddenRange, ForbiddenSet};
use super::region::{AddressSpace, RegionKind, Regions};
use super::registers::RegisterFile;
use super::scan::{Finding, Scan, Work};
use super::site::Pc;
use super::snapshot::StackSnapshot;
use super::unwinder::Unwinder;
use super::verdict::{Frame, Hit, HitKind, MAX_REPORTED, Reason, Verdict};
use super::walk::{Gap, WalkEnd};
use crate::memory::Registers;
use livepatch_bundle::RunAddr;
use std::ops::ControlFlow;

/// The code segment of 64-bit user code (`__USER_CS`).
const USER_CODE: u64 = 0x33;

/// Judges the threads of one process against a set of forbidden ranges.
pub struct StackCheck {
    pub(super) unwinder: Unwinder,
    pub(super) forbidden: ForbiddenSet,
    /// Of all threads in this stop, where they are known.
    pub(super) stack_pointers: Vec<RunAddr>,
    /// Mappings seen in this stop.
    regions: Option<Regions>,
    pub(super) bulk: super::bulk::Bulk,
    /// Of the thread judged last: where its outermost frame begins, if all its frames were unwound and lie on one stack.
    pub(super) top: Option<RunAddr>,
    /// That, of each thread of the last [`Self::judge_many`].
    pub(super) tops: Vec<Option<RunAddr>>,
}

impl StackCheck {
    /// A check that no thread is inside `forbidden`.
    #[must_use]
    pub fn new(forbidden: Vec<ForbiddenRange>, unwinder: Unwinder) -> Self {
        Self {
            unwinder,
            forbidden: ForbiddenSet::new(forbidden),
            stack_pointers: Vec::new(),
            regions: None,
            bulk: super::bulk::Bulk::default(),
            top: None,
            tops: Vec::new(),
        }
    }

    /// Another set of ranges, with the rows that are known already.
    pub fn set_forbidden(&mut self, forbidden: Vec<ForbiddenRange>) {
        self.forbidden = ForbiddenSet::new(forbidden);
    }

    /// The unwinder, for [`Unwinder::prepare_pc`] and [`Unwinder::locate`].
    pub fn unwinder(&mut self) -> &mut Unwinder {
        &mut self.unwinder
    }

    /// Of each thread of the last [`Self::judge_many`], in order: where its outermost frame begins. `None` when not all
    /// of its frames were unwound, or they may lie on several stacks.
    #[must_use]
    pub fn tops(&self) -> &[Option<RunAddr>] {
        &self.tops
    }

    /// To be called at the start of each stop ([`Self::judge_many`] does): what was seen of the target's mappings in
    /// the one before is forgotten, and images that are gone are dropped.
    pub fn begin(&mut self, space: &dyn AddressSpace) {
        self.regions = None;
        self.stack_pointers.clear();
        self.tops.clear();
        self.unwinder.revalidate(space);
    }

    /// The frames of a stopped thread, innermost first, as far as they are certain, and [`MAX_REPORTED`] at most.
    pub fn frames(&mut self, registers: &Registers, space: &dyn AddressSpace) -> Vec<Frame> {
        let mut stack = StackSnapshot::on_demand(space);
        self.backtrace(RegisterFile::of_thread(registers), &mut stack)
    }

    /// Judges one stopped thread. `stack` may hold the top of its stack already.
    pub fn judge(
        &mut self,
        registers: &Registers,
        stack: &mut StackSnapshot<'_>,
        space: &dyn AddressSpace,
    ) -> Verdict {
        self.top = None;
        let start = RegisterFile::of_thread(registers);
        if registers.cs != USER_CODE {
            return self.unknown(
                Reason::Segment {
                    segment: registers.cs,
                },
                start,
                stack,
            );
        }
        let mut hit = None;
        let forbidden = &self.forbidden;
        let end = self.unwinder.walk(start, stack, |pc| {
            hit = hit_at(forbidden, pc).map(|label| (pc, label.to_owned()));
            match hit {
                Some(_) => ControlFlow::Break(()),
                None => ControlFlow::Continue(()),
            }
        });
        match (end, hit) {
            (_, Some((pc, label))) => {
                let kind = kind_of(pc, start.pc());
                let frames = self.backtrace(start, stack);
                Verdict::Busy {
                    frames,
                    hit: Hit {
                        pc: pc.address,
                        label,
                        kind,
                        gap: None,
                    },
                }
            }
            (WalkEnd::Complete { frames, top }, None) => {
                self.top = top;
                Verdict::Clear {
                    frames,
                    by_scan: false,
                }
            }
            (WalkEnd::Gap(gap), None) => self.scan(&gap, registers, start, stack, space),
            (WalkEnd::Stopped, None) => unreachable!("the visitor stops only at a hit"),
        }
    }

    fn scan(
        &mut self,
        gap: &Gap,
        registers: &Registers,
        start: RegisterFile,
        stack: &mut StackSnapshot<'_>,
        space: &dyn AddressSpace,
    ) -> Verdict {
        if let Err(reason) = self.list_regions(space) {
            return self.unknown(reason, start, stack);
        }
        let regions = self.regions.take().unwrap_or_default();
        let found = match hidden_by_uprobe(gap, &regions) {
            Some(reason) => Err(Finding::Unsure(reason)),
            None => Scan {
                space,
                regions: &regions,
                forbidden: &self.forbidden,
                unwinder: &mut self.unwinder,
                first_is_elsewhere: on_first_stack(&self.stack_pointers, &regions),
                work: Work::default(),
            }
            .run(gap, RunAddr(registers.fs_base)),
        };
        self.regions = Some(regions);
        match found {
            Ok(()) => Verdict::Clear {
                frames: gap.frames,
                by_scan: true,
            },
            Err(Finding::Unsure(reason)) => self.unknown(reason, start, stack),
            Err(Finding::Hit(mut hit)) => {
                hit.gap = Some(gap.error);
                let frames = self.backtrace(start, stack);
                Verdict::Busy { frames, hit }
            }
        }
    }

    fn list_regions(&mut self, space: &dyn AddressSpace) -> Result<(), Reason> {
        if self.regions.is_none() {
            self.regions = Some(Regions::new(space.regions()?));
        }
        Ok(())
    }

    fn unknown(
        &mut self,
        reason: Reason,
        start: RegisterFile,
        stack: &mut StackSnapshot<'_>,
    ) -> Verdict {
        let frames = self.backtrace(start, stack);
        Verdict::Unknown { reason, frames }
    }

    /// The frames for a report, up to the one that holds the thread.
    fn backtrace(&mut self, start: RegisterFile, stack: &mut StackSnapshot<'_>) -> Vec<Frame> {
        let mut pcs = Vec::new();
        let forbidden = &self.forbidden;
        self.unwinder.walk(start, stack, |pc| {
            pcs.push(pc);
            let last = hit_at(forbidden, pc).is_some() || pcs.len() == MAX_REPORTED;
            if last {
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(())
            }
        });
        pcs.into_iter()
            .map(|pc| Frame {
                pc: pc.address,
                exact: pc.exact,
                image: self.unwinder.locate(pc.address),
            })
            .collect()
    }
}

pub(super) fn hit_at(forbidden: &ForbiddenSet, pc: Pc) -> Option<&str> {
    let range = if pc.exact {
        forbidden.at_pc(pc.address)
    } else {
        forbidden.at_return(pc.address)
    };
    range.map(|range| range.label.as_str())
}

fn kind_of(pc: Pc, top: RunAddr) -> HitKind {
    match pc {
        Pc { exact: false, .. } => HitKind::Caller,
        Pc { address, .. } if address == top => HitKind::Running,
        _ => HitKind::Interrupted,
    }
}

/// The kernel replaced the instruction pointer, or the return address that the walk stumbled over, and keeps the real one.
fn hidden_by_uprobe(gap: &Gap, regions: &Regions) -> Option<Reason> {
    let super::error::WalkError::UnknownCode { pc } = gap.error else {
        return None;
    };
    let region = regions.find(pc)?;
    (region.kind == RegionKind::Uprobes).then_some(Reason::Uprobe { pc })
}

/// Whether one of the threads is on the first thread's own stack, and so is the first thread.
fn on_first_stack(stack_pointers: &[RunAddr], regions: &Regions) -> bool {
    let mut first = regions.of_kind(RegionKind::Stack);
    first.any(|stack| {
        stack_pointers
            .iter()
            .any(|sp| (stack.start..stack.end).contains(sp))
    })
}
