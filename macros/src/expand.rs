//! The function as it was, with a timer in it. All names that the code needs are under `::metrics_recall::__private`.

use crate::{
    arguments::{Arguments, Label, Value},
    shape::{
        async_tail, async_tail_mut, future_output, is_future, names_impl, output_type, parse_type,
    },
};
use proc_macro2::{Span, TokenStream, TokenTree};
use quote::{ToTokens, quote, quote_spanned};
use syn::{
    Block, Error, Expr, ItemFn, ItemImpl, Result, ReturnType, Stmt, TraitItemFn, Type,
    ext::IdentExt, parse2, spanned::Spanned,
};

/// `function` with a timer in it.
pub fn function(arguments: &Arguments, function: &ItemFn) -> Result<TokenStream> {
    check(arguments, function)?;
    let body = Body::of(function)?.timed(arguments, function)?;
    let mut timed = function.clone();
    timed.block.stmts = vec![Stmt::Expr(Expr::Verbatim(body), None)];
    Ok(timed.into_token_stream())
}

/// What to say of an item that is no function with a body.
pub fn not_a_function(item: &TokenStream) -> Option<Error> {
    if let Ok(declared) = parse2::<TraitItemFn>(item.clone()) {
        let message = "a declaration has no body to time: put `#[timed]` on the function of the implementation";
        return Some(Error::new(declared.sig.ident.span(), message));
    }
    if let Ok(implementation) = parse2::<ItemImpl>(item.clone()) {
        let message = "`#[timed]` is for functions: put it on each one that it is for";
        return Some(Error::new(implementation.impl_token.span(), message));
    }
    if looks_like_a_function(item) {
        return None; // What the parser said is what is wrong with it.
    }
    Some(Error::new(
        Span::call_site(),
        "`#[timed]` is for functions and methods",
    ))
}

fn looks_like_a_function(item: &TokenStream) -> bool {
    let mut tokens = item.clone().into_iter();
    tokens.any(|token| matches!(token, TokenTree::Ident(word) if word == "fn"))
}

fn check(arguments: &Arguments, function: &ItemFn) -> Result<()> {
    let sig = &function.sig;
    if let Some(constant) = &sig.constness {
        let message = "a `const fn` cannot be timed: there is no clock while it compiles";
        return Err(Error::new(constant.span(), message));
    }
    if let Some(alloc) = arguments
        .alloc
        .as_ref()
        .filter(|_| !cfg!(feature = "alloc"))
    {
        let message = "`alloc` needs the feature `alloc` of metrics-recall: \
            `metrics-recall = { version = \"..\", features = [\"alloc\", \"macros\"] }`";
        return Err(Error::new(alloc.span(), message));
    }
    let Some(result) = &arguments.result else {
        return Ok(());
    };
    let message = "`result` is for functions that return a `Result`";
    match &sig.output {
        ReturnType::Default => Err(Error::new(
            result.span(),
            format!("{message}, and this one returns nothing"),
        )),
        ReturnType::Type(_, output) if matches!(**output, Type::Never(_)) => Err(Error::new(
            output.span(),
            format!("{message}, and this one never does"),
        )),
        ReturnType::Type(..) => Ok(()),
    }
}

/// How the body runs.
enum Body {
    Sync,
    Async,
    /// Not `async` itself; ends with an `async` block that it returns, as what `async_trait` makes.
    ReturnsFuture,
}

impl Body {
    fn of(function: &ItemFn) -> Result<Self> {
        if function.sig.asyncness.is_some() {
            return Ok(Self::Async);
        }
        let ReturnType::Type(_, output) = &function.sig.output else {
            return Ok(Self::Sync);
        };
        if !is_future(output) {
            return Ok(Self::Sync);
        }
        if async_tail(&function.block).is_none() {
            let message = "this returns a future, so `#[timed]` would time how long it takes to make one: write an \
                `async fn`, or end with an `async` block";
            return Err(Error::new(output.span(), message));
        }
        Ok(Self::ReturnsFuture)
    }

    fn timed(self, arguments: &Arguments, function: &ItemFn) -> Result<TokenStream> {
        let block = &function.block;
        let code = Code {
            arguments,
            function,
        };
        let output = output_type(&function.sig.output);
        match self {
            Self::Sync => Ok(code.sync(&output, block)),
            Self::Async => {
                let capture = Some(quote! { move });
                Ok(code.future(&output, &with_type(&output, &capture, block)))
            }
            Self::ReturnsFuture => code.returned(block),
        }
    }
}

/// What is written into the function.
struct Code<'a> {
    arguments: &'a Arguments,
    function: &'a ItemFn,
}

impl Code<'_> {
    /// Where everything that the code needs is.
    fn root(&self) -> TokenStream {
        let root = self.arguments.root.as_ref();
        let root = root.map_or_else(|| quote! { ::metrics_recall }, ToTokens::to_token_stream);
        quote! { #root::__private }
    }

    fn sync(&self, output: &Type, block: &Block) -> TokenStream {
        let (root, site, in_flight) = (self.root(), self.site(), self.in_flight());
        let is_plain = self.arguments.result.is_none() && self.arguments.alloc.is_none();
        if is_plain {
            return quote_spanned! { Span::mixed_site()=>
                let _timed = #root::start(&#site);
                #in_flight
                #block
            };
        }
        let returned = if names_impl(output) {
            None
        } else {
            Some(quote! { -> #output })
        };
        let call = if self.arguments.result.is_some() {
            quote_spanned! { output.span()=> #root::run }
        } else {
            quote! { #root::run_any }
        };
        let also = self.also();
        quote_spanned! { Span::mixed_site()=>
            let site = #site;
            #in_flight
            let also = #also;
            #call(site, also, move || #returned #block)
        }
    }

    fn future(&self, output: &Type, future: &TokenStream) -> TokenStream {
        let (root, site, in_flight) = (self.root(), self.site(), self.in_flight());
        let call = if self.arguments.result.is_some() {
            quote_spanned! { output.span()=> #root::run_fallible }
        } else {
            quote! { #root::run_future }
        };
        let also = self.also();
        quote_spanned! { Span::mixed_site()=>
            let site = #site;
            #in_flight
            let also = #also;
            #call(site, also, #future).await
        }
    }

    /// The function with its last `async` block timed from the first poll on.
    fn returned(&self, block: &Block) -> Result<TokenStream> {
        let mut block = block.clone();
        let output =
            future_output(&self.function.sig.output).unwrap_or_else(|| parse_type(quote! { _ }));
        let Some(tail) = async_tail_mut(&mut block) else {
            return Err(Error::new(
                block.span(),
                "an `async` block at the end is missing",
            ));
        };
        let capture = &tail.capture;
        let future = with_type(&output, capture, &tail.block);
        let timed = self.future(&output, &future);
        *tail = parse2(quote! { async #capture { #timed } })?;
        let stmts = &block.stmts;
        Ok(quote! { #(#stmts)* })
    }

    fn in_flight(&self) -> Option<TokenStream> {
        if !self.arguments.in_flight {
            return None;
        }
        let root = self.root();
        let name = self.beside("in_flight");
        let key = self.key(&quote! { #name });
        Some(quote_spanned! { Span::mixed_site()=>
            let _in_flight = #root::in_flight(#key);
        })
    }

    /// The name of another metric of this function, which ends with `what`.
    fn beside(&self, what: &str) -> String {
        match &self.arguments.name {
            Some(name) => format!("{}_{what}", without_unit(&name.value())),
            None => format!("function_{what}"),
        }
    }

    /// What is recorded beside the time, with the same labels as it. Computed ones are not computed again.
    fn also(&self) -> TokenStream {
        if self.arguments.alloc.is_none() {
            return quote! { () };
        }
        let root = self.root();
        let [allocations, bytes] = ["allocations", "allocated_bytes"].map(|what| {
            let name = self.beside(what);
            if self.arguments.is_fixed() {
                self.site_of(&name)
            } else {
                quote_spanned! { Span::mixed_site()=> site.renamed(#name) }
            }
        });
        quote_spanned! { Span::mixed_site()=> #root::Allocated::new(#allocations, #bytes) }
    }

    /// Where the durations go.
    fn site(&self) -> TokenStream {
        let name = self.arguments.name.as_ref().map(syn::LitStr::value);
        self.site_of(&name.unwrap_or_else(|| "function_duration_seconds".to_owned()))
    }

    /// The series of a metric: a static, or what is made of computed labels at each call.
    fn site_of(&self, name: &str) -> TokenStream {
        let root = self.root();
        let fallible = self.arguments.result.is_some();
        if !self.arguments.is_fixed() {
            let labels = self.labels(&root);
            return quote_spanned! { Span::mixed_site()=>
                #root::Computed::new(#name, ::core::module_path!(), #fallible, [#(#labels),*].into())
            };
        }
        let labels: Vec<_> = self.labels(&root).collect();
        let ends = if fallible {
            ["ok", "err", "panic", "cancelled"]
        } else {
            ["", "", "", "cancelled"]
        };
        let keys = ends.map(|end| {
            let end = (!end.is_empty()).then(|| quote! { #root::label("result", #end), });
            quote_spanned! { Span::mixed_site()=> {
                static LABELS: &[#root::Label] = &[#end #(#labels),*];
                #root::key(#name, LABELS)
            }}
        });
        quote_spanned! { Span::mixed_site()=> {
            static SITE: #root::Fixed = #root::Fixed::new([#(#keys),*], ::core::module_path!());
            &SITE
        }}
    }

    /// A key without an end, of the metric called `name`.
    fn key(&self, name: &TokenStream) -> TokenStream {
        let root = self.root();
        let labels: Vec<_> = self.labels(&root).collect();
        if !self.arguments.is_fixed() {
            return quote_spanned! { Span::mixed_site()=>
                &#root::computed_key(#name, [#(#labels),*].into()), ::core::module_path!()
            };
        }
        quote_spanned! { Span::mixed_site()=>
            {
                static LABELS: &[#root::Label] = &[#(#labels),*];
                static KEY: #root::Key = #root::key(#name, LABELS);
                &KEY
            },
            ::core::module_path!()
        }
    }

    /// The labels; without a name the first one says which function it is.
    fn labels(&self, root: &TokenStream) -> impl Iterator<Item = TokenStream> {
        let own = &self.arguments.labels;
        let is_named =
            self.arguments.name.is_some() || own.iter().any(|label| label.name == "function");
        let function = self.function.sig.ident.unraw().to_string();
        let function = (!is_named).then(|| {
            quote! { #root::label("function", ::core::concat!(::core::module_path!(), "::", #function)) }
        });
        let root = root.clone();
        let own = own
            .iter()
            .map(move |Label { name, value, .. }| match value {
                Value::Fixed(value) => quote! { #root::label(#name, #value) },
                Value::Computed(value) => {
                    quote_spanned! { value.span()=> #root::computed_label(#name, &(#value)) }
                }
            });
        function.into_iter().chain(own)
    }
}

/// Tells an `async` block what it returns, since `?` in it has to know. There is never anything to return; written so, and with the
/// span of a macro, it gives no lint a reason to speak up in the user's code.
fn with_type(output: &Type, capture: &impl ToTokens, block: &Block) -> TokenStream {
    if names_impl(output) || matches!(output, Type::Never(_) | Type::Infer(_)) {
        return quote! { async #capture #block };
    }
    let stmts = &block.stmts;
    let hint = quote_spanned! { Span::mixed_site()=>
        if let ::core::option::Option::Some(returned) = ::core::option::Option::<#output>::None {
            return returned;
        }
    };
    quote! { async #capture { #hint #(#stmts)* } }
}

/// `checkout` of `checkout_seconds` and `checkout_duration_seconds`.
fn without_unit(name: &str) -> &str {
    let name = name
        .strip_suffix("_seconds")
        .or_else(|| name.strip_suffix(".seconds"))
        .unwrap_or(name);
    name.strip_suffix("_duration")
        .or_else(|| name.strip_suffix(".duration"))
        .unwrap_or(name)
}
