//! The command `auth login`: obtains a company's consent through Intuit's page and stores the tokens in the vault.

use std::io::IsTerminal as _;
use std::time::Duration;

use qbo_auth::{ConsentRequest, RedirectUrl, TokenSet};
use zeroize::Zeroizing;

use super::consent_flow::{ConsentFlow, refused};
use super::status;
use crate::args::{LoginArgs, Output};
use crate::config::settings::Settings;
use crate::oauth_callback::{Callback, Page};
use crate::output::exit::{DONE, Exit, INTERRUPTED};
use crate::output::print::say;
use crate::secrets::Secrets;
use crate::secrets::prompt;
use crate::shutdown::Stop;

/// `auth login`: asks for consent on Intuit's page, and stores its tokens in the vault. If anything fails before the code
/// is exchanged, nothing is stored; the tokens of the exchange are stored in any case.
pub(super) async fn login(settings: &Settings, arguments: &LoginArgs) -> Result<u8, Exit> {
    let mut secrets = Secrets::open(settings).await?;
    let flow = ConsentFlow::open(settings, &mut secrets).await?;
    let tokens = match &arguments.redirect_url {
        Some(redirect) => paste(&flow, arguments, redirect.clone()).await?,
        None => listen(&flow, arguments).await?,
    };
    status::show(settings, &secrets, &tokens).await?;
    if settings.output == Output::Text {
        say(
            "next: qbo-backfill doctor, then for example qbo-backfill run Invoice Customer Item --from 2025-01-01 --to 2026-01-01",
        );
    }
    Ok(DONE)
}

/// Waits until the browser is redirected to this machine.
async fn listen(flow: &ConsentFlow, arguments: &LoginArgs) -> Result<TokenSet, Exit> {
    let callback = Callback::bind(arguments.port).await.map_err(|error| {
        Exit::usage(
            format!("cannot listen on port {} of 127.0.0.1 and [::1] ({})", arguments.port, error.kind()),
            "choose another one with --port, and register http://localhost:PORT/callback with the app",
        )
    })?;
    let request = flow.request(callback.redirect().clone())?;
    if flow.needs_https() {
        say(
            "note: Intuit refuses http://localhost for production keys; use --redirect-url https://… with them",
        );
    }
    show(&request, arguments);
    say(&format!("waiting for the answer at {}", request.redirect()));
    let stop = Stop::waiting()?;
    let patience = Duration::from_secs(arguments.timeout);
    let visit = tokio::select! {
        visit = callback.visit(patience, |answer| request.recognises(answer)) => visit.ok_or_else(|| {
            refused(format!("no consent came within {} s", arguments.timeout), "run the same command again, and use the page it opens")
        })?,
        () = stop.token.cancelled() => {
            return Err(Exit::new(stop.code().unwrap_or(INTERRUPTED), "stopped; nothing was stored", "run the same command again"));
        }
    };
    let exchanging = stop.exchanging().await;
    let ended = flow.finish(request, &visit.answer).await;
    drop(exchanging);
    visit.conclude(if ended.is_ok() { Page::Connected } else { Page::Failed }).await;
    ended
}

/// Asks the person to paste the address where the browser ended.
async fn paste(flow: &ConsentFlow, arguments: &LoginArgs, redirect: RedirectUrl) -> Result<TokenSet, Exit> {
    let request = flow.request(redirect)?;
    show(&request, arguments);
    say("consent there, then copy the whole address of the page where the browser ends, and paste it here");
    let answer = pasted().await?;
    let stop = Stop::waiting()?;
    let _exchanging = stop.exchanging().await;
    flow.finish(request, &answer).await
}

/// Opens the page in a browser if there is one, and prints its address in any case.
fn show(request: &ConsentRequest, arguments: &LoginArgs) {
    say("connect the company on this page:");
    say(request.url());
    let opens = !arguments.no_browser && std::io::stderr().is_terminal();
    if opens && open::that_detached(request.url()).is_err() {
        say("no browser could be started; open the page yourself");
    }
}

/// Reads the pasted address without echo, because it contains the code.
async fn pasted() -> Result<Zeroizing<String>, Exit> {
    let none = || refused("no address was pasted", "run the same command again");
    let answer = if std::io::stdin().is_terminal() {
        prompt::hidden("address (not shown): ", |_| none()).await?
    } else {
        prompt::line(|_| none()).await?
    };
    if answer.trim().is_empty() { Err(none()) } else { Ok(answer) }
}
