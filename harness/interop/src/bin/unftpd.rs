//! An FTP server made of libunftp, for descriptions that start one as a process.

use std::error::Error;
use std::net::IpAddr;
use std::path::PathBuf;

use clap::Parser;
use ftpspec_interop::{Settings, serve};

/// An FTP server made of libunftp
#[derive(Debug, Parser)]
struct Options {
    /// Where to listen
    #[arg(long)]
    address: IpAddr,
    /// On which port
    #[arg(long)]
    port: u16,
    /// The ports for data, as FIRST-LAST
    #[arg(long, value_name = "RANGE", default_value = "49152-65535")]
    passive_ports: String,
    /// The folder to serve
    #[arg(long)]
    root: PathBuf,
    /// The certificate with its chain
    #[arg(long, value_name = "PEM")]
    certificate: PathBuf,
    /// The certificate's private key
    #[arg(long, value_name = "PEM")]
    key: PathBuf,
    /// Whose client certificates are accepted where they are demanded
    #[arg(long, value_name = "PEM")]
    ca: Option<PathBuf>,
    /// Who may log in
    #[arg(long)]
    user: String,
    /// Their password; better in the environment, for a command line is everybody's to read
    #[arg(long, env = "PASSWORD", hide_env_values = true)]
    password: String,
    /// `lax`: TLS is offered; `strict`: it is demanded; `client-certificate`: one is demanded too
    #[arg(long, default_value = "lax", value_parser = ["lax", "strict", "client-certificate", "narrow"])]
    configuration: String,
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error + Send + Sync>> {
    let options = Options::parse();
    let (first, last) = options.passive_ports.split_once('-').ok_or("--passive-ports is no FIRST-LAST")?;
    let certificates = options.configuration == "client-certificate";
    serve(Settings {
        address: (options.address, options.port).into(),
        passive_ports: first.parse()?..=last.parse()?,
        root: options.root,
        certificate: options.certificate,
        key: options.key,
        user: options.user,
        password: options.password,
        tls_required: certificates || options.configuration == "strict",
        client_ca: options.ca.filter(|_| certificates),
    })
    .await
}
