//! What stands in the brackets: `name = "..", labels(..), result, in_flight, alloc, crate = ..`.

use crate::names;
use proc_macro2::Span;
use syn::{
    Error, Expr, ExprLit, Ident, Lit, LitStr, Path, Result, Token,
    ext::IdentExt,
    parenthesized,
    parse::{Parse, ParseStream},
    spanned::Spanned,
    token,
};

/// The arguments, each checked as far as it can be without the function.
#[derive(Default)]
pub struct Arguments {
    pub name: Option<LitStr>,
    pub labels: Vec<Label>,
    /// Where the word stands, for errors.
    pub result: Option<Ident>,
    pub in_flight: bool,
    pub alloc: Option<Ident>,
    pub root: Option<Path>,
}

/// `route = "/pay"`.
pub struct Label {
    pub name: String,
    pub span: Span,
    pub value: Value,
}

/// What a label is set to.
pub enum Value {
    /// Known here: the key is made once, at compile time.
    Fixed(String),
    /// Asked for at each call.
    Computed(Box<Expr>),
}

const KNOWN: &str =
    "`name = \"..\"`, `labels(..)`, `result`, `in_flight`, `alloc` and `crate = path`";

impl Parse for Arguments {
    fn parse(input: ParseStream<'_>) -> Result<Self> {
        let mut all = Self::default();
        let mut seen: Vec<String> = Vec::new();
        while !input.is_empty() {
            if input.peek(LitStr) {
                let name: LitStr = input.parse()?;
                let text = name.value();
                return Err(Error::new(
                    name.span(),
                    format!("write `name = \"{text}\"`"),
                ));
            }
            let word = input.call(Ident::parse_any)?;
            if seen.contains(&word.to_string()) {
                return Err(Error::new(word.span(), format!("`{word}` is given twice")));
            }
            seen.push(word.to_string());
            all.take(&word, input)?;
            if !input.is_empty() {
                input.parse::<Token![,]>()?;
            }
        }
        all.check()
    }
}

impl Arguments {
    fn take(&mut self, word: &Ident, input: ParseStream<'_>) -> Result<()> {
        match word.to_string().as_str() {
            "name" => self.name = Some(name(word, input)?),
            "labels" => self.labels = labels(word, input)?,
            "result" => self.result = Some(flag(word, input)?),
            "in_flight" => {
                flag(word, input)?;
                self.in_flight = true;
            }
            "alloc" => self.alloc = Some(flag(word, input)?),
            "crate" => {
                input.parse::<Token![=]>()?;
                self.root = Some(input.call(Path::parse_mod_style)?);
            }
            other => {
                let message = format!("`{other}` is no argument of `timed`: there are {KNOWN}");
                return Err(Error::new(word.span(), message));
            }
        }
        Ok(())
    }

    /// `result` is a label of ours where the end of a call shows.
    fn check(self) -> Result<Self> {
        for (i, label) in self.labels.iter().enumerate() {
            let name = &label.name;
            let again = self.labels[..i].iter().any(|other| other.name == *name);
            if again {
                let message = format!("the label `{name}` is given twice");
                return Err(Error::new(label.span, message));
            }
            if name == "result" {
                let message = "the label `result` says how a call ended: \
                    write `result` beside `labels(..)`, or choose another name";
                return Err(Error::new(label.span, message));
            }
        }
        Ok(self)
    }

    /// Whether every key is known at compile time.
    pub fn is_fixed(&self) -> bool {
        let is_fixed = |label: &Label| matches!(label.value, Value::Fixed(_));
        self.labels.iter().all(is_fixed)
    }
}

fn flag(word: &Ident, input: ParseStream<'_>) -> Result<Ident> {
    if input.peek(Token![=]) || input.peek(token::Paren) {
        return Err(Error::new(
            word.span(),
            format!("`{word}` stands alone and takes no value"),
        ));
    }
    Ok(word.clone())
}

fn name(word: &Ident, input: ParseStream<'_>) -> Result<LitStr> {
    if !input.peek(Token![=]) {
        return Err(Error::new(
            word.span(),
            "write `name = \"checkout_seconds\"`",
        ));
    }
    input.parse::<Token![=]>()?;
    let name: Expr = input.parse()?;
    let Expr::Lit(ExprLit {
        lit: Lit::Str(name),
        ..
    }) = name
    else {
        let message = "the name of a metric is a string in quotes: `name = \"checkout_seconds\"`";
        return Err(Error::new(name.span(), message));
    };
    names::duration(&name.value()).map_err(|message| Error::new(name.span(), message))?;
    Ok(name)
}

fn labels(word: &Ident, input: ParseStream<'_>) -> Result<Vec<Label>> {
    if !input.peek(token::Paren) {
        return Err(Error::new(
            word.span(),
            "write `labels(route = \"/pay\", ..)`",
        ));
    }
    let content;
    parenthesized!(content in input);
    let all = content.parse_terminated(Label::parse, Token![,])?;
    Ok(all.into_iter().collect())
}

impl Parse for Label {
    fn parse(input: ParseStream<'_>) -> Result<Self> {
        let (name, span) = if input.peek(LitStr) {
            let name: LitStr = input.parse()?;
            (name.value(), name.span())
        } else {
            let name = input.call(Ident::parse_any)?;
            (name.unraw().to_string(), name.span())
        };
        names::label(&name).map_err(|message| Error::new(span, message))?;
        if !input.peek(Token![=]) {
            let message = format!("the label `{name}` has no value: write `{name} = \"..\"`");
            return Err(Error::new(span, message));
        }
        input.parse::<Token![=]>()?;
        let value = input.parse()?;
        Ok(Self {
            name,
            span,
            value: value_of(value),
        })
    }
}

fn value_of(value: Expr) -> Value {
    let Expr::Lit(ExprLit { lit, .. }) = &value else {
        return Value::Computed(value.into());
    };
    match lit {
        Lit::Str(text) => Value::Fixed(text.value()),
        Lit::Int(number) => Value::Fixed(number.base10_digits().to_owned()),
        Lit::Float(number) => Value::Fixed(number.base10_digits().to_owned()),
        Lit::Bool(is) => Value::Fixed(is.value.to_string()),
        Lit::Char(one) => Value::Fixed(one.value().to_string()),
        _ => Value::Computed(value.into()),
    }
}
