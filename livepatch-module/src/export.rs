//! The macro that makes a crate a dynamic module.

/// Makes the crate (a `cdylib`) a module: its call-backs by name, and the schemas whose data it can take over.
///
/// ```
/// use livepatch_module::{Event, Failure, Host, Module, state};
///
/// state! { pub struct Old { count: u32 } }
/// state! { pub struct Counter { count: u64 } }
///
/// struct Logic;
///
/// impl Module for Logic {
///     const NAME: &'static str = "counter";
///     const VERSION: &'static str = "2.0.0";
///     type State = Counter;
///
///     fn init(_host: &Host<'_>) -> Result<Counter, Failure> {
///         Ok(Counter { count: 0 })
///     }
/// }
///
/// fn message(_host: &Host<'_>, state: &mut Counter, _event: &Event<'_>) -> Result<(), Failure> {
///     state.count += 1;
///     Ok(())
/// }
///
/// fn widen(_host: &Host<'_>, old: &Old) -> Result<Counter, Failure> {
///     Ok(Counter { count: old.count.into() })
/// }
///
/// livepatch_module::export! {
///     module: Logic,
///     entries: [message],
///     migrations: [Old => widen],
/// }
/// # fn main() {}
/// ```
#[macro_export]
macro_rules! export {
    (module: $module:ty, entries: [$($entry:ident),* $(,)?], migrations: [$($old:ty => $migrate:expr),* $(,)?] $(,)?) => {
        const _: () = {
            use $crate::__private::{abi, glue, Callback, Migrations, OldState};

            type State = <$module as $crate::Module>::State;

            struct Others;
            impl Migrations<$module> for Others {
                const ACCEPTS: &'static [u64] = &[$(<$old as $crate::Schema>::FINGERPRINT),*];

                fn migrate(
                    _host: &$crate::Host<'_>,
                    _old: OldState<'_>,
                ) -> Option<Result<State, $crate::Failure>> {
                    $(if let Some(old) = _old.get::<$old>() {
                        let migrate: fn(&$crate::Host<'_>, &$old) -> Result<State, $crate::Failure> = $migrate;
                        return Some(migrate(_host, old));
                    })*
                    None
                }
            }

            $(
                #[allow(non_camel_case_types, reason = "named after the function")]
                struct $entry {}
                impl Callback<$module> for $entry {
                    const NAME: &'static [u8] = concat!(stringify!($entry), "\0").as_bytes();

                    fn call(
                        host: &$crate::Host<'_>,
                        state: &mut State,
                        event: &$crate::Event<'_>,
                    ) -> Result<(), $crate::Failure> {
                        $entry(host, state, event)
                    }
                }
            )*

            #[global_allocator]
            static ALLOCATOR: $crate::HostAllocator = $crate::HostAllocator;
            static OPERATIONS: abi::Operations = glue::operations::<$module, Others>();
            static ENTRIES: &[abi::Entry] = &[$(glue::entry::<$module, $entry>()),*];
            static NAME: [u8; abi::NAME_MAX] = glue::text(<$module as $crate::Module>::NAME);
            static VERSION: [u8; abi::NAME_MAX] = glue::text(<$module as $crate::Module>::VERSION);

            #[used]
            #[unsafe(link_section = ".note.livepatch")]
            static NOTE: abi::ElfNote = glue::note::<$module, Others>();

            #[unsafe(no_mangle)]
            #[allow(non_upper_case_globals, reason = "the interface's name")]
            pub static livepatch_module: abi::Module = abi::Module {
                size: abi::size32::<abi::Module>(),
                abi: abi::ABI,
                name: NAME.as_ptr().cast(),
                version: VERSION.as_ptr().cast(),
                schema: <State as $crate::Schema>::FINGERPRINT,
                operations: &OPERATIONS,
                entries: ENTRIES.as_ptr(),
                entry_count: ENTRIES.len() as u64,
            };
        };
    };
}
