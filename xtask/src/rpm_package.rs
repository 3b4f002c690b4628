//! The package for Fedora, openSUSE and their relatives.

use rpm::{BuildConfig, CompressionType, Dependency, FileOptions, PackageBuilder};

use crate::Result;
use crate::layout::Program;
use crate::release::Release;
use crate::tree::Tree;

/// The name of the package's file, and its bytes.
pub(crate) fn package(release: &Release, program: &Program, files: &Tree) -> Result<(String, Vec<u8>)> {
    let architecture = release.architecture();
    let time = u32::try_from(release.time)?;
    let config = BuildConfig::v4().compression(CompressionType::Gzip).source_date(time);
    let summary = "Copies the history of a QuickBooks Online company into PostgreSQL";
    let mut builder =
        PackageBuilder::new("qbo-backfill", &release.version, "MIT OR Apache-2.0", architecture, summary);
    builder
        .using_config(config)
        .release("1")
        .build_host("localhost")
        .description("Every record as QuickBooks sent it, and a log that states for each window of time what was read.")
        .recommends(Dependency::any("ca-certificates"))
        .suggests(Dependency::any("postgresql-server"));
    if let Some((major, minor)) = program.oldest_glibc {
        builder.requires(Dependency::any(format!("libc.so.6(GLIBC_{major}.{minor})(64bit)")));
        builder.requires(Dependency::any("libgcc_s.so.1()(64bit)"));
    }
    for (path, file) in files.files() {
        let path = format!("/{}", elsewhere(path));
        let options =
            FileOptions::new(path).permissions(u16::try_from(file.mode)?).user("root").group("root");
        builder.with_file_contents(file.bytes.clone(), options)?;
    }
    let package = builder.build()?;
    let mut bytes = Vec::new();
    package.write(&mut bytes)?;
    Ok((format!("qbo-backfill-{}-1.{architecture}.rpm", release.version), bytes))
}

/// Where these distributions look for what Debian keeps in another folder.
fn elsewhere(path: &str) -> String {
    path.replace("usr/share/zsh/vendor-completions/", "usr/share/zsh/site-functions/")
}
