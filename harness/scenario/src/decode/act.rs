//! Scripts and their acts.

use super::{
    CONTROL, DATA, Decoded, Decoder, cannot, code_pattern, content_type, duration, list, map, needed, optional_text,
    optional_word, protection, template, text, word, yes_no,
};

use crate::grammar::is_code;
use crate::model::{
    Act, Answer, Callers, Certificate, Connect, ConnectTo, End, FileDue, Handshake, Leaf, Level, Login, Name, Passive,
    Pattern, Payload, ProtectionLevel, Receive, ReplyKey, ReplyMatch, Resume, Script, Step,
};
use crate::node::{Kind, Node};

impl Decoder {
    pub(crate) fn script(&self, node: &Node) -> Decoded<Script> {
        list(node)?.iter().map(|item| self.step(item)).collect()
    }

    fn step(&self, node: &Node) -> Decoded<Step> {
        let (act, place) = match &node.kind {
            Kind::Scalar { text, .. } => (self.bare(text, node)?, node.place),
            Kind::Map(_) => {
                let [(key, value)] = map(node)? else { return Err(cannot(node, "an act")) };
                (self.act(text(key)?, key, value)?, key.place)
            }
            Kind::Sequence(_) => return Err(cannot(node, "an act")),
        };
        Ok(Step { act, place })
    }

    fn bare(&self, word: &str, node: &Node) -> Decoded<Act> {
        Ok(match word {
            "accept" => Act::Accept { from: None },
            "key-update" => Act::KeyUpdate { on: None, request: false },
            "login" => Act::Login(Login { protect: Some(ProtectionLevel::P), certificate: Certificate::Usual }),
            "handshake" => Act::Handshake(Handshake::default()),
            "receive" => Act::Receive(Receive::default()),
            _ => about_connection(word, None).ok_or_else(|| cannot(node, "an act"))?,
        })
    }

    fn act(&self, name: &str, key: &Node, value: &Node) -> Decoded<Act> {
        if let Some(level) = Level::from_word(name) {
            return Ok(Act::Judged { level, script: self.script(value)? });
        }
        if let Some(leaf) = Leaf::from_word(name) {
            return Ok(Act::Leaf(leaf, text(value)?.to_owned()));
        }
        Ok(match name {
            "connect" => Act::Connect(connect(value)?),
            "login" => Act::Login(login(value)?),
            "send" => Act::Send(template(value)?),
            "reply" => Act::Reply(self.reply(value)?),
            "answer" => Act::Answer(answer(value)?),
            "open" => Act::Open(template(value)?),
            "passive" => Act::Passive(passive(value)?),
            "listen" => Act::Listen {
                name: text(needed(value, "as")?)?.to_owned(),
                at: value.value("at").map(template).transpose()?,
                port: value.value("port").map(template).transpose()?,
                callers: optional_word(value, "callers", Callers::from_word, "what becomes of callers")?
                    .unwrap_or_default(),
            },
            "accept" => Act::Accept { from: Some(text(value)?.to_owned()) },
            "session" => Act::Session {
                name: text(needed(value, "as")?)?.to_owned(),
                script: self.script(needed(value, "do")?)?,
            },
            "key-update" => self.key_update(value)?,
            "records" => Act::Records(list(value)?.iter().map(template).collect::<Decoded<_>>()?),
            "handshake" => Act::Handshake(self.handshake(value)?),
            "deliver" => self.deliver(value)?,
            "receive" => Act::Receive(self.receive(value)?),
            "plain" => self.plain(value)?,
            "record" => Act::Record {
                on: self.optional_connection(value.value("on"))?,
                content_type: word(needed(value, "type")?, content_type, "a content type")?,
                octets: template(needed(value, "octets")?)?,
            },
            "together" => Act::Together(self.script(value)?),
            "await" => Act::Await { branches: self.await_branches(value)? },
            "silence" => self.silence(value)?,
            "pause" => Act::Pause(word(value, duration, "a duration")?),
            "within" => {
                let [(limit, script)] = map(value)? else { return Err(cannot(value, "one duration and its acts")) };
                Act::Within { limit: word(limit, duration, "a duration")?, script: self.script(script)? }
            }
            "either" => Act::Either(list(value)?.iter().map(|script| self.script(script)).collect::<Decoded<_>>()?),
            _ => about_connection(name, Some(self.connection(value)?)).ok_or_else(|| cannot(key, "an act"))?,
        })
    }

    fn reply(&self, node: &Node) -> Decoded<ReplyMatch> {
        if node.text().is_some() {
            return Ok(ReplyMatch::Like(word(node, code_pattern, "a reply code")?));
        }
        if let Some(code) = node.value("exact") {
            let protocols = optional_word(node, "protocols", yes_no, "`yes` or `no`")?.unwrap_or(false);
            let code = exact_code(code)?;
            return Ok(if protocols { ReplyMatch::WithProtocols(code) } else { ReplyMatch::Exact(code) });
        }
        let branches = map(node)?.iter().map(|(key, script)| {
            let key = match text(key)? {
                "any" => ReplyKey::Any,
                _ => ReplyKey::Code(word(key, code_pattern, "a reply code")?),
            };
            Ok((key, self.script(script)?))
        });
        Ok(ReplyMatch::Branches(branches.collect::<Decoded<_>>()?))
    }

    fn handshake(&self, node: &Node) -> Decoded<Handshake> {
        if node.text().is_some() {
            return Ok(Handshake { on: Some(self.connection(node)?), ..Handshake::default() });
        }
        Ok(Handshake {
            on: self.optional_connection(node.value("on"))?,
            resume: optional_word(node, "resume", Resume::from_word, "a way to resume")?.unwrap_or_default(),
            certificate: certificate(node)?,
            identity: optional_text(node, "identity")?,
            resumed: optional_word(node, "resumed", yes_no, "`yes` or `no`")?,
            otherwise: node.value("else").map(|script| self.script(script)).transpose()?,
            offers: optional_text(node, "offers")?,
            only_begins: optional_word(node, "wait", yes_no, "`yes` or `no`")? == Some(false),
            is_cut: optional_word(node, "cut", yes_no, "`yes` or `no`")? == Some(true),
            then_holds: optional_word(node, "hold", yes_no, "`yes` or `no`")? == Some(true),
        })
    }

    fn key_update(&self, node: &Node) -> Decoded<Act> {
        if node.text().is_some() {
            return Ok(Act::KeyUpdate { on: Some(self.connection(node)?), request: false });
        }
        let request = optional_word(node, "request", yes_no, "`yes` or `no`")?.unwrap_or(false);
        Ok(Act::KeyUpdate { on: self.optional_connection(node.value("on"))?, request })
    }

    fn deliver(&self, node: &Node) -> Decoded<Act> {
        if let Some(what) = node.text() {
            let payload = match what {
                "all" => Payload::All(None),
                "half" => Payload::Half(None),
                "rest" => Payload::Rest(None),
                fixture => Payload::All(Some(fixture.to_owned())),
            };
            return Ok(Act::Deliver { on: None, payload });
        }
        let file = optional_text(node, "file")?;
        let payload = match optional_text(node, "part")?.as_deref() {
            Some("half") => Payload::Half(file),
            Some("rest") => Payload::Rest(file),
            _ => Payload::All(file),
        };
        Ok(Act::Deliver { on: self.optional_connection(node.value("on"))?, payload })
    }

    fn plain(&self, node: &Node) -> Decoded<Act> {
        let (on, octets) = match node.text() {
            Some(_) => (None, node),
            None => (self.optional_connection(node.value("on"))?, needed(node, "octets")?),
        };
        let octets = match text(octets)? {
            "all" => Payload::All(None),
            "half" => Payload::Half(None),
            _ => Payload::Octets(template(octets)?),
        };
        Ok(Act::Plain { on, octets })
    }

    fn receive(&self, node: &Node) -> Decoded<Receive> {
        Ok(Receive {
            on: self.optional_connection(node.value("on"))?,
            octets: optional_word(node, "octets", |text| text.parse().ok(), "a number")?,
            file: optional_text(node, "file")?.map(|file| match file.as_str() {
                FileDue::ASKED_FOR => FileDue::AskedFor,
                _ => FileDue::Fixture(file),
            }),
            end: match node.value("end") {
                Some(end) if text(end)? != "any" => Some(word(end, End::from_word, "an end of a connection")?),
                _ => None,
            },
            protected: optional_word(node, "in", protection, "`clear` or `TLS`")?,
        })
    }

    fn silence(&self, node: &Node) -> Decoded<Act> {
        let (on, lasts) = match node.text() {
            Some(_) => (None, node),
            None => (self.optional_connection(node.value("on"))?, needed(node, "for")?),
        };
        Ok(Act::Silence { on, lasts: word(lasts, duration, "a duration")? })
    }

    fn await_branches(&self, node: &Node) -> Decoded<Vec<(Pattern, Script)>> {
        if node.text().is_some() {
            return Ok(vec![(self.event(node)?, Vec::new())]);
        }
        map(node)?.iter().map(|(event, script)| Ok((self.event(event)?, self.script(script)?))).collect()
    }
}

/// The acts that are about one connection, and nothing else.
fn about_connection(word: &str, on: Option<Name>) -> Option<Act> {
    Some(match word {
        "handshake" => Act::Handshake(Handshake { on, ..Handshake::default() }),
        "close_notify" => Act::CloseNotify(on),
        "FIN" => Act::Fin(on),
        "RST" => Act::Rst(on),
        "clear" => Act::Clear(on),
        "hold" => Act::Hold(on),
        "release" => Act::Release(on),
        "mute" => Act::Mute(on),
        _ => return None,
    })
}

fn connect(node: &Node) -> Decoded<Connect> {
    let to = match node.text() {
        Some(_) => node,
        None => needed(node, "to")?,
    };
    let (to, usual) = match text(to)? {
        "control" => (ConnectTo::Control, CONTROL),
        "passive" => (ConnectTo::Passive, DATA),
        _ => return Err(cannot(to, "`control` or `passive`")),
    };
    let name = match node.value("as") {
        Some(name) => text(name)?.to_owned(),
        None => usual.to_owned(),
    };
    Ok(Connect { to, name, from: node.value("from").map(template).transpose()? })
}

fn passive(node: &Node) -> Decoded<Passive> {
    if node.text().is_some() {
        return Ok(Passive { command: template(node)?, in_range: false, exact: false });
    }
    let is = |key| optional_word(node, key, yes_no, "`yes` or `no`").map(|answer| answer.unwrap_or(false));
    Ok(Passive { command: template(needed(node, "send")?)?, in_range: is("in-range")?, exact: is("exact")? })
}

fn login(node: &Node) -> Decoded<Login> {
    let protect = match node.value("protect") {
        None => Some(ProtectionLevel::P),
        Some(level) if text(level)? == "none" => None,
        Some(level) => Some(word(level, ProtectionLevel::from_word, "a protection level")?),
    };
    Ok(Login { protect, certificate: certificate(node)? })
}

fn certificate(node: &Node) -> Decoded<Certificate> {
    Ok(match optional_text(node, "certificate")? {
        None => Certificate::Usual,
        Some(name) if name == "none" => Certificate::None,
        Some(name) => Certificate::Named(name),
    })
}

fn answer(node: &Node) -> Decoded<Answer> {
    if is_code(text(node)?) { exact_code(node).map(Answer::Code) } else { template(node).map(Answer::Text) }
}

fn exact_code(node: &Node) -> Decoded<u16> {
    word(node, |text| is_code(text).then(|| text.parse().ok()).flatten(), "a reply code")
}
