//! Every directory of `tests/cases` is a test of that name.

use libtest_mimic::{Arguments, Trial};
use livepatch_tests::case::run_case;
use livepatch_tests::explain;
use livepatch_tests::tools::tests_directory;

fn main() -> anyhow::Result<()> {
    let mut trials = Vec::new();
    for entry in std::fs::read_dir(tests_directory().join("cases"))? {
        let directory = entry?.path();
        let has = |suffix: &str| directory.join(format!("new.{suffix}")).exists();
        if !["c", "cc", "rs"].into_iter().any(has) {
            anyhow::bail!("`{}` has no new version", directory.display());
        }
        let name = directory.file_name().unwrap_or_default();
        let name = name.to_string_lossy().into_owned();
        trials.push(Trial::test(name.clone(), move || {
            run_case(&name).map_err(|error| explain(&error).into())
        }));
    }
    trials.sort_by(|a, b| a.name().cmp(b.name()));
    libtest_mimic::run(&Arguments::from_args(), trials).exit()
}
