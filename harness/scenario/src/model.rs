//! What a scenario *is*, once it has been read: plain values, with the place in the file kept beside each step.
//!
//! Loops, parts, axes and branches on the version are gone here: the loader expands them, so that a variant is one
//! straight script. Nothing here reads a file, opens a socket or gives a verdict.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use ftpspec_wire::CodePattern;

/// A file that was read: its name as people see it, and its text, for carets.
#[derive(Debug, PartialEq, Eq)]
pub struct Source {
    /// The path below the folder it was found in, such as `server/auth/zos-client-hello.yaml`.
    pub name: String,
    /// The whole text.
    pub text: String,
}

/// Where something stands in its file; all numbers count from 1, in characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Place {
    /// The line.
    pub line: usize,
    /// The column of its first character.
    pub column: usize,
    /// How many characters it has on that line, at least 1.
    pub length: usize,
}

/// How binding a demand is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Level {
    /// Practice, or derived; no text demands it.
    Field,
    /// Allowed; but if it is done, it is done rightly.
    May,
    /// A SHOULD of a cited clause.
    Should,
    /// A MUST of a cited clause.
    Must,
}

/// Which side is under test.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// The subject is a server; we are the client.
    Server,
    /// The subject is a client; we are the server.
    Client,
    /// The subject stands between; we are both.
    Proxy,
}

/// What a scenario does to the subject; each includes the ones before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum Effects {
    /// Reads what is there.
    #[default]
    Read,
    /// Also writes below a scratch folder, and removes it again.
    Write,
    /// Also does what a careful operator would not want unasked: wrong passwords, floods, exhaustion.
    Intrusive,
}

/// A clause of an RFC, `rfc4217#9` in text.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Clause {
    /// The number of the RFC.
    pub rfc: u16,
    /// The section, such as `7.2.1`.
    pub section: String,
}

/// One scenario: its head, and its variants.
#[derive(Debug, Clone)]
pub struct Scenario {
    /// Its path below `scenarios/`, without the ending: `server/data/retr-empty-file`.
    pub id: String,
    /// The file it was read from.
    pub source: Arc<Source>,
    /// One line that states the demand.
    pub title: String,
    /// The level of every demand that does not carry its own.
    pub level: Level,
    /// The clauses it rests on.
    pub clauses: Vec<Clause>,
    /// The field cases it reproduces.
    pub field_cases: Vec<String>,
    /// What it does to the subject.
    pub effects: Effects,
    /// What the subject must offer, or be configured to do.
    pub needs: Vec<Capability>,
    /// The defects that it is shown to catch.
    pub catches: Vec<String>,
    /// Why it exists, for people.
    pub why: Option<String>,
    /// Whether it wants a peer of its own.
    pub alone: bool,
    /// Every variant, in the order of the axes.
    pub variants: Vec<Variant>,
}

impl Scenario {
    /// Whose scenario it is, as its id says.
    #[must_use]
    pub fn role(&self) -> Option<Role> {
        self.id.split('/').next().and_then(Role::from_word)
    }
}

/// One straight script with the choices that made it.
#[derive(Debug, Clone)]
pub struct Variant {
    /// `engine=rustls,version=1.3,open=EPSV`; empty if there is nothing to choose.
    pub name: String,
    /// The axes and the chosen words, in the order of the name.
    pub choices: Vec<(String, String)>,
    /// The level, if the chosen values say otherwise than the file.
    pub level: Level,
    /// The effects, if the chosen values say otherwise than the file.
    pub effects: Effects,
    /// The file's needs and those of the chosen values.
    pub needs: Vec<Capability>,
    /// What we do: as the client (server and proxy under test).
    pub steps: Script,
    /// What the reference server does (client and proxy under test).
    pub server: Option<PeerScript>,
    /// What the client under test is asked to do.
    pub client: Option<ClientRequest>,
    /// What must hold of the whole conversation.
    pub expect: Vec<Expectation>,
}

/// Acts in their order.
pub type Script = Vec<Step>;

/// An act and its place in the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// What is done.
    pub act: Act,
    /// Where it stands.
    pub place: Place,
}

/// A text with `${variables}` in it that only a run can fill in: addresses, paths, credentials, recorded octets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template(pub String);

/// The name of a connection: `control`, `data`, or what `as:` gave.
pub type Name = String;

/// One act. Where an act names no connection it means the *current* one: the connection that this script last opened,
/// accepted or named; `control` at the beginning. `send`, `reply` and `answer` are always about the control connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Act {
    /// Opens a TCP connection: `connect: control`, or `connect: {to: passive, as: data, from: 127.0.0.2}`.
    Connect(Connect),
    /// Sends one command line as the client, in the protection in force.
    Send(Template),
    /// Sends one reply as the server, in the protection in force.
    Answer(Answer),
    /// Puts octets on the wire past TLS. A ClientHello sent so is followed by reading records without an engine.
    Plain {
        /// The connection; none is the current one.
        on: Option<Name>,
        /// What to send.
        octets: Payload,
    },
    /// The acts within produce octets (`send`, `plain`, `answer`, `close_notify`), which leave in one write.
    Together(Script),
    /// Sends one protected record of any type.
    Record {
        /// The connection; none is the current one.
        on: Option<Name>,
        /// The TLS content type.
        content_type: u8,
        /// Its plaintext.
        octets: Template,
    },
    /// Connects, AUTH TLS, USER, PASS, PBSZ and PROT, TYPE I. If it fails the variant is untestable.
    Login(Login),
    /// Starts (client) or accepts (server) a TLS handshake, and waits for its end.
    Handshake(Handshake),
    /// `passive: COMMAND` and `connect: {to: passive}`: the usual way to a data connection. If it fails the variant is
    /// untestable.
    Open(Template),
    /// Sends PASV or EPSV (or what the text says), and remembers the address in the reply.
    Passive(Passive),
    /// Opens a listener of our own; `${NAME.port}`, `${NAME.PORT}`, `${NAME.p1p2}` and `${NAME.EPRT}` are its number, its
    /// h1,…,p2 form, the end of that, and its |1|…| form. Whoever connects to it is logged under its name, whether it is accepted by an act or not.
    ///
    /// In a server's script the name `data` is that of the passive listener that the next transfer takes.
    Listen {
        /// The name of the listener.
        name: Name,
        /// Its address; the control connection's own if nothing is said.
        at: Option<Template>,
        /// Its port; a free one if nothing is said.
        port: Option<Template>,
        /// What becomes of those who connect.
        callers: Callers,
    },
    /// Takes the data connection as agreed: a server accepts it, or connects in active mode; a client takes what has
    /// connected to a listener of its own from the control connection's peer.
    Accept {
        /// The listener (client); none is the newest.
        from: Option<Name>,
    },
    /// The acts within speak on another control connection, of this name.
    Session {
        /// The name that its control connection has.
        name: Name,
        /// The acts.
        script: Script,
    },
    /// Sends a TLS 1.3 KeyUpdate.
    KeyUpdate {
        /// The connection; none is the current one.
        on: Option<Name>,
        /// Whether the peer is asked to do the same.
        request: bool,
    },
    /// Sends one command line in several records (in the clear: segments); the texts hold its CR LF too.
    Records(Vec<Template>),
    /// Sends a file on the data connection.
    Deliver {
        /// The connection; none is the current one.
        on: Option<Name>,
        /// What to send.
        payload: Payload,
    },
    /// Reads a data connection to its end.
    Receive(Receive),
    /// Sends close_notify, and nothing more.
    CloseNotify(Option<Name>),
    /// Sends a FIN: our write side is closed, reading goes on.
    Fin(Option<Name>),
    /// Resets the connection.
    Rst(Option<Name>),
    /// Ends TLS on a connection that stays open: our close_notify, the peer's, then plaintext (CCC).
    Clear(Option<Name>),
    /// Stops reading a connection.
    Hold(Option<Name>),
    /// Reads it again.
    Release(Option<Name>),
    /// Answers neither close_notify nor FIN of the peer from here on.
    Mute(Option<Name>),
    /// Waits as a stimulus; never to synchronise.
    Pause(Duration),
    /// Nothing may arrive for so long. Only where no fence can be sent; never at level must.
    Silence {
        /// The connection; none is the current one.
        on: Option<Name>,
        /// How long.
        lasts: Duration,
    },
    /// Waits for the next reply on the control connection.
    Reply(ReplyMatch),
    /// Waits for the first event that one of the patterns tells; none of them is not met.
    Await {
        /// Pattern and what follows.
        branches: Vec<(Pattern, Script)>,
    },
    /// The first script whose first act is met is taken.
    Either(Vec<Script>),
    /// The acts within are judged at this level.
    Judged {
        /// The level.
        level: Level,
        /// The acts.
        script: Script,
    },
    /// The acts within must all be done in this time.
    Within {
        /// The bound.
        limit: Duration,
        /// The acts.
        script: Script,
    },
    /// A conclusion.
    Leaf(Leaf, String),
}

/// What becomes of those who connect to a listener of ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Callers {
    /// They are accepted.
    #[default]
    Taken,
    /// The port is ours, and nobody listens on it: a SYN is answered with RST.
    Refused,
    /// There is no room for them: a SYN gets no answer.
    Unanswered,
}

/// A conclusion that a script draws in words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Leaf {
    /// Unusual but lawful: shown, changes nothing; the script goes on.
    Note,
    /// A practice was not met; the script goes on.
    Warn,
    /// The demand was not met; the script ends.
    Fail,
    /// Not applicable; the script ends.
    Skip,
    /// A prerequisite failed; the script ends.
    Untestable,
}

/// `connect:`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Connect {
    /// To the subject's control port, or to the address of the last PASV or EPSV reply.
    pub to: ConnectTo,
    /// The name that the connection gets: `control` or `data` if nothing is said.
    pub name: Name,
    /// The source address, if it is not to be the usual one.
    pub from: Option<Template>,
}

/// Where `connect` goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConnectTo {
    /// The control port.
    Control,
    /// What the last PASV or EPSV reply named.
    Passive,
}

/// `passive: EPSV`, or `passive: {send: EPSV, in-range: yes, exact: yes}`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Passive {
    /// The command.
    pub command: Template,
    /// Whether the port must be one of the range that the subject is set up with.
    pub in_range: bool,
    /// Whether it is a finding of field practice where the reply is more than it must be: a 227 that names another host, a
    /// 229 that goes on behind its bracket.
    pub exact: bool,
}

/// `answer: 226`, or `answer: 226 Transfer complete`. A code alone gets the words (and, for 227, 229, 211, 257 …, the
/// contents) that are correct for the command in hand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// The correct reply with this code.
    Code(u16),
    /// These octets, with a CRLF behind them.
    Text(Template),
}

/// What octets: of a file, or written out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Payload {
    /// The whole of what the command in hand is about (server), of a fixture (client).
    All(Option<String>),
    /// Its first half.
    Half(Option<String>),
    /// What its first half leaves.
    Rest(Option<String>),
    /// Octets written in the file, `${octets.NAME}` included.
    Octets(Template),
}

/// `login: {protect: P, certificate: client-a}`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Login {
    /// `P` or `C` (PBSZ 0 and PROT are sent), or none (neither is sent).
    pub protect: Option<ProtectionLevel>,
    /// The client certificate of the control connection.
    pub certificate: Certificate,
}

/// Which client certificate a handshake of ours has, should it be asked for.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Certificate {
    /// The usual one: on a data connection that of its control connection, there the one that we were given.
    #[default]
    Usual,
    /// None at all, though there may be a usual one.
    None,
    /// The one of this name.
    Named(String),
}

/// The protection level of data connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProtectionLevel {
    /// Clear.
    C,
    /// Private.
    P,
}

/// `handshake: data`, or `handshake: {on: data, resume: no, certificate: client-b, identity: client-a, else: […]}`
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Handshake {
    /// The connection; none is the current one.
    pub on: Option<Name>,
    /// What is offered for resumption (client).
    pub resume: Resume,
    /// Our certificate on this connection (client).
    pub certificate: Certificate,
    /// The peer must know us by this certificate: by a full handshake that carried it, or by resuming the session that
    /// did.
    pub identity: Option<String>,
    /// Whether the session must be resumed (`yes`) or must not be (`no`).
    pub resumed: Option<bool>,
    /// Acts that follow a handshake that fails, in place of ending the script.
    pub otherwise: Option<Script>,
    /// The session whose control connection's tickets are offered (client); none is this one.
    pub offers: Option<Name>,
    /// Only begins it: the script goes on at once, and may `await: handshake` later.
    pub only_begins: bool,
    /// Only begins it, and of our flight only the first record leaves (server).
    pub is_cut: bool,
    /// Reading stops the moment it is done: what the peer sends behind it waits for a `release`.
    pub then_holds: bool,
}

/// Which session a handshake on a data connection offers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Resume {
    /// The newest of this control session.
    #[default]
    Newest,
    /// None: a full handshake.
    No,
    /// The first ticket, again and again.
    First,
    /// Each ticket once.
    EachOnce,
}

/// `receive: {octets: 0, end: close_notify}`; the server's `receive` takes an upload.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Receive {
    /// The connection; none is `data`.
    pub on: Option<Name>,
    /// The exact count.
    pub octets: Option<u64>,
    /// The file whose octets these must be.
    pub file: Option<FileDue>,
    /// How the connection must end; none accepts any end.
    pub end: Option<End>,
    /// Whether the octets must have been protected (`TLS`) or not.
    pub protected: Option<bool>,
}

/// Which file a transfer must bring.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FileDue {
    /// This fixture.
    Fixture(String),
    /// The fixture that the last RETR named: no demand where it named another file, or where it was no RETR.
    AskedFor,
}

impl FileDue {
    /// The word for [`FileDue::AskedFor`].
    pub const ASKED_FOR: &str = "asked-for";
}

/// How one direction of a connection ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// close_notify, before any FIN.
    CloseNotify,
    /// A FIN with no close_notify before it.
    Fin,
    /// A reset.
    Rst,
}

/// What a reply may be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReplyMatch {
    /// A lone code: its first digit counts; a code that no RFC lists for the command gives a note. `2yz` likewise.
    Like(CodePattern),
    /// Exactly this code.
    Exact(u16),
    /// Exactly this code, and behind it a list of network protocols, `(1,2)`.
    WithProtocols(u16),
    /// A map from code to what follows; a full code is exact and wins over a class, `any` takes the rest.
    Branches(Vec<(ReplyKey, Script)>),
}

/// The key of a branch behind `reply:`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReplyKey {
    /// `226` or `2yz`.
    Code(CodePattern),
    /// Whatever is left.
    Any,
}

/// A pattern of one event of the log; the same in `await`, `never`, `order`, `count` and in a diagnosis' `when`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pattern {
    /// What kind of event.
    pub kind: EventKind,
    /// On which connection; none is the current one in a script, any in `expect` and `when`.
    pub on: Option<Name>,
    /// Whose event; none is the peer's in `await`, either's elsewhere.
    pub by: Option<By>,
    /// Which codes (reply, plaintext), alerts or record types; empty is all. `226`, `2yz`, `421`, `protocol_version`.
    pub is: Vec<String>,
    /// Which not.
    pub except: Vec<String>,
    /// The command that a reply answers; the verb of a command.
    pub to: Vec<String>,
    /// In the clear (`Some(false)`), in TLS (`Some(true)`), or both.
    pub protected: Option<bool>,
    /// What plaintext looks like: `ftp-reply`, `html`, `text`, `octets`.
    pub looks_like: Option<String>,
}

/// The kinds of events that patterns can tell, by their words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum EventKind {
    /// `connected`: a TCP connection was made.
    Connected,
    /// `accepted`: a TCP connection was accepted.
    Accepted,
    /// `connect-failed`: it was refused, or did not come about.
    ConnectFailed,
    /// `command`: a command line.
    Command,
    /// `reply`: a reply.
    Reply,
    /// `malformed`: octets that are no reply where one was due.
    Malformed,
    /// `client-hello`.
    ClientHello,
    /// `server-hello`.
    ServerHello,
    /// `handshake-started`: we began a handshake.
    HandshakeStarted,
    /// `handshake`: one was finished. `is: [resumed]`, `is: [full]`, `is: ["1.3"]`.
    Handshake,
    /// `handshake-failed`.
    HandshakeFailed,
    /// `certificate-request`.
    CertificateRequest,
    /// `ticket`: a session ticket.
    Ticket,
    /// `waiting`: something has come on a connection that is held.
    Waiting,
    /// `alert`, close_notify not included.
    Alert,
    /// `close_notify`.
    CloseNotify,
    /// `FIN`.
    Fin,
    /// `RST`.
    Rst,
    /// `close`: FIN or RST.
    Close,
    /// `end`: close_notify, FIN or RST.
    End,
    /// `plaintext`: octets that are not TLS where TLS was due.
    Plaintext,
    /// `octets`: application octets on a data connection.
    Octets,
    /// `timeout`: `is:` names what was waited for.
    Timeout,
    /// `unmet`: a demand of the script was not met; `is:` names the act, and `act/why`.
    Unmet,
    /// `leaf`: a conclusion of the script; `is:` names it.
    Leaf,
    /// `unasked-reply`: a reply while no command was open.
    UnaskedReply,
    /// `file`: an upload was made; `is: [whole]`, `is: [truncated]`.
    File,
    /// `ended`: the client under test has ended; `is: [succeeded]`, `is: [hung]`.
    Ended,
    /// `fetched`: what the client kept of a file that it was to fetch; `is: [intact]`, `is: [other]`, `is: [none]`.
    Fetched,
}

/// Whose event it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum By {
    /// Ours.
    Us,
    /// The subject's.
    Peer,
}

/// A demand on the whole conversation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expectation {
    /// The level, where it is not the file's.
    pub level: Option<Level>,
    /// What is demanded.
    pub demand: Demand,
    /// Where it stands.
    pub place: Place,
}

/// The demands of `expect:`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Demand {
    /// No such event.
    Never(Pattern),
    /// Commands in this order (others between them are no matter); a list within is a choice.
    Order(Vec<Vec<String>>),
    /// So many commands with this verb.
    Count(BTreeMap<String, usize>),
    /// The client under test succeeds or fails.
    Client(ClientOutcome),
    /// The files of the request, where they were to arrive.
    Files(FilesDue),
    /// The client's commands, of those that any row names, are one of these rows; which one is noted.
    Rows(Vec<Row>),
}

impl Demand {
    /// The word of files, and of `unmet` in a diagnosis.
    #[must_use]
    pub fn word(&self) -> &'static str {
        match self {
            Self::Never(_) => "never",
            Self::Order(_) => "order",
            Self::Count(_) => "count",
            Self::Client(_) => "client",
            Self::Files(_) => "files",
            Self::Rows(_) => "rows",
        }
    }
}

/// How the files of a request must have arrived.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FilesDue {
    /// Each of them whole.
    Intact,
    /// Each of them whole, or the client reports failure: what has come to harm must not be called a success.
    IntactOrFailed,
}
words!(FilesDue { Intact => "intact", IntactOrFailed => "intact-or-failed" });

/// A row of a table of what clients may do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// What a note calls it.
    pub name: String,
    /// The commands, in this order and no other; a list within is a choice.
    pub commands: Vec<Vec<String>>,
}

/// What the client under test is asked to do: `client: {get: [text]}`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientRequest {
    /// The action: `login`, `get`, `put`, `list`, `ccc`, `active`, `parallel`.
    pub action: String,
    /// The fixtures it is about.
    pub files: Vec<String>,
    /// Where the client is told to go on only with TLS; one that cannot be told so is not judged.
    pub demands_tls: Option<TlsDemand>,
}

/// Where a client is told to go on only with TLS.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TlsDemand {
    /// On the control connection.
    Control,
    /// On data connections too.
    Data,
}
words!(TlsDemand { Control => "demanded", Data => "demanded-on-data" });

/// How the client under test must end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ClientOutcome {
    /// It reports success.
    Succeeds,
    /// It reports success or failure; which of them is noted.
    Ends,
    /// It reports failure, in this time if one is given.
    Fails {
        /// The bound.
        within: Option<Duration>,
    },
}

/// The reference server's settings and rules in one scenario or defect.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PeerScript {
    /// Settings that differ from the correct value: word and value as in [`crate::settings`].
    pub settings: Vec<(String, String)>,
    /// Scripts in place of the correct one.
    pub rules: Vec<Rule>,
}

/// A script in place of the correct one, for one command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    /// The verb, or `greeting`.
    pub on: String,
    /// When it applies.
    pub condition: Condition,
    /// What is done.
    pub script: Script,
    /// Where it stands.
    pub place: Place,
}

/// `if:` of a rule; all that is given must hold.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Condition {
    /// The command's argument, exactly, in this case.
    pub argument: Option<String>,
    /// What the command is about: `empty`, `not-empty`, `missing`.
    pub file: Option<String>,
    /// The how-manieth time this verb comes in the session, from 1.
    pub nth: Option<u32>,
    /// Whether the control connection is protected.
    pub protected: Option<bool>,
}

/// A named lie of a reference peer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Defect {
    /// Its file's name.
    pub name: String,
    /// Which reference peer has it.
    pub role: Role,
    /// What it does, in one line.
    pub title: String,
    /// Where it was seen.
    pub source_of: String,
    /// Settings and rules.
    pub script: PeerScript,
    /// The diagnosis that must come out.
    pub told_as: String,
    /// The file.
    pub source: Arc<Source>,
}

/// How a failure is explained.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnosis {
    /// Its file's name.
    pub id: String,
    /// One line.
    pub title: String,
    /// Events in this order; `not` means none such between its neighbours.
    pub when: Vec<When>,
    /// Whose fault it is.
    pub at_fault: AtFault,
    /// The text, with variables from the log.
    pub say: String,
    /// The clauses it rests on.
    pub clauses: Vec<Clause>,
    /// The field cases it tells.
    pub field_cases: Vec<String>,
    /// How other software shows the same thing, by its name.
    pub seen_as: Vec<(String, String)>,
    /// The file.
    pub source: Arc<Source>,
}

/// One element of a diagnosis' `when`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct When {
    /// The event.
    pub pattern: Pattern,
    /// It must *not* stand between its neighbours (before the end, if it is the last).
    pub absent: bool,
}

/// Whose fault a failure is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AtFault {
    /// The software under test.
    Subject,
    /// What stands between.
    Path,
    /// How it was set up.
    Configuration,
    /// ftpspec itself.
    Harness,
}

/// Why a demand was not met, in one word: what a diagnosis names behind the act, as in `receive/no-close_notify`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Why {
    /// A limit expired.
    Timeout,
    /// The connection had ended.
    Closed,
    /// An alert came.
    Alert,
    /// A reply with another code.
    Code,
    /// Octets that are not TLS where TLS was due.
    Plaintext,
    /// It came to nothing.
    Failed,
    /// Another count of octets.
    Octets,
    /// Other octets.
    Digest,
    /// The data ended without close_notify.
    NoCloseNotify,
    /// The connection ended in another way than was due.
    End,
    /// A reset.
    Reset,
    /// A full handshake where resumption was due.
    NotResumed,
    /// A resumption where a full handshake was due.
    Resumed,
    /// Nobody was told who we are.
    Identity,
    /// Octets in the clear where TLS was due, or the other way round.
    Clear,
    /// Something came where silence was due.
    OctetsCame,
    /// It does not have the form that it must have.
    Malformed,
    /// A passive port that the subject is not set up with.
    OutOfRange,
    /// A 522 to EPSV without the list of protocols that are known.
    Protocols,
}

macro_rules! words {
    ($(#[$doc:meta])* $type:ident { $($variant:ident => $word:literal),+ $(,)? }) => {
        impl $type {
            /// Every value, in order.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];
            /// Every word, in the same order.
            pub const WORDS: &'static [&'static str] = &[$($word),+];

            /// The word that files and reports use.
            #[must_use]
            pub fn word(self) -> &'static str {
                match self { $(Self::$variant => $word),+ }
            }

            /// The value that a word means.
            #[must_use]
            pub fn from_word(word: &str) -> Option<Self> {
                match word { $($word => Some(Self::$variant),)+ _ => None }
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                out.write_str(self.word())
            }
        }
    };
}
pub(crate) use words;

words!(Level { Field => "field", May => "may", Should => "should", Must => "must" });
words!(Role { Server => "server", Client => "client", Proxy => "proxy" });
words!(Effects { Read => "read", Write => "write", Intrusive => "intrusive" });
words!(Leaf { Note => "note", Warn => "warn", Fail => "fail", Skip => "skip", Untestable => "untestable" });
words!(ProtectionLevel { C => "C", P => "P" });
words!(Resume { Newest => "newest", No => "no", First => "first-again", EachOnce => "each-once" });
words!(End { CloseNotify => "close_notify", Fin => "FIN", Rst => "RST" });
words!(By { Us => "us", Peer => "peer" });
words!(Callers { Taken => "taken", Refused => "refused", Unanswered => "unanswered" });
words!(AtFault { Subject => "subject", Path => "path", Configuration => "configuration", Harness => "harness" });
words!(Why {
    Timeout => "timeout", Closed => "closed", Alert => "alert", Code => "code", Plaintext => "plaintext",
    Failed => "failed", Octets => "octets", Digest => "digest", NoCloseNotify => "no-close_notify", End => "end",
    Reset => "reset", NotResumed => "not-resumed", Resumed => "resumed", Identity => "identity", Clear => "clear",
    OctetsCame => "octets-came", Malformed => "malformed", OutOfRange => "out-of-range", Protocols => "protocols",
});
words!(EventKind {
    Connected => "connected", Accepted => "accepted", ConnectFailed => "connect-failed", Command => "command",
    Reply => "reply", Malformed => "malformed", ClientHello => "client-hello", ServerHello => "server-hello",
    HandshakeStarted => "handshake-started", Handshake => "handshake", HandshakeFailed => "handshake-failed",
    CertificateRequest => "certificate-request", Ticket => "ticket", Waiting => "waiting", Alert => "alert", CloseNotify => "close_notify",
    Fin => "FIN", Rst => "RST", Close => "close", End => "end", Plaintext => "plaintext", Octets => "octets",
    Timeout => "timeout", Unmet => "unmet", Leaf => "leaf", UnaskedReply => "unasked-reply", File => "file",
    Ended => "ended", Fetched => "fetched",
});

/// What a subject offers or is set up to do: the words of `needs` and of `provides`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Capability {
    /// AUTH TLS works. Probed.
    Auth,
    /// EPSV is answered with 229. Probed.
    Epsv,
    /// PASV is answered with 227. Probed.
    Pasv,
    /// MLSD is known. Probed.
    Mlsd,
    /// CCC is answered with 200. Probed, really tried.
    Ccc,
    /// TLS 1.2 is spoken. Probed.
    Tls12,
    /// TLS 1.3 is spoken. Probed.
    Tls13,
    /// A client certificate is asked for, and checked.
    ClientCertificate,
    /// TLS from the first octet, on a port of its own.
    ImplicitTls,
    /// USER and PASS in the clear are refused.
    ClearLoginRefused,
    /// Transfers at protection level C are refused.
    ClearDataRefused,
    /// Neither login nor data needs TLS.
    TlsOptional,
    /// Sessions can be resumed; nobody has to.
    ReuseOffered,
    /// A data connection must resume the session of its control connection.
    ReuseDemanded,
    /// The passive range has only a few ports.
    NarrowRange,
}

words!(Capability {
    Auth => "AUTH", Epsv => "EPSV", Pasv => "PASV", Mlsd => "MLSD", Ccc => "CCC", Tls12 => "TLS-1.2", Tls13 => "TLS-1.3",
    ClientCertificate => "client-certificate", ImplicitTls => "implicit-tls",
    ClearLoginRefused => "clear-login-refused", ClearDataRefused => "clear-data-refused", TlsOptional => "tls-optional",
    ReuseOffered => "reuse-offered", ReuseDemanded => "reuse-demanded", NarrowRange => "narrow-range",
});

impl Capability {
    /// Whether only a configuration or a target can say so: no probe would find it out without doing harm or guessing.
    #[must_use]
    pub fn is_configured(self) -> bool {
        matches!(
            self,
            Self::ClientCertificate
                | Self::ImplicitTls
                | Self::ClearLoginRefused
                | Self::ClearDataRefused
                | Self::TlsOptional
                | Self::ReuseOffered
                | Self::ReuseDemanded
                | Self::NarrowRange
        )
    }
}

impl fmt::Display for Clause {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "rfc{}#{}", self.rfc, self.section)
    }
}

impl Handshake {
    /// A handshake on the current connection with nothing special about it.
    #[must_use]
    pub fn plain_on(on: &str) -> Self {
        Self { on: Some(on.to_owned()), ..Self::default() }
    }
}

impl fmt::Display for Template {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}
