//! Proof that policies have an effect: a pair of pods in a namespace of their own, a connection between them before, under
//! and after a policy that denies it.
//!
//! The only part of this crate that writes to a cluster, and only where it is asked to: one namespace, [`NAMESPACE`],
//! which is removed whatever happens (errors, a bound on time, signals). What an earlier run had to leave behind, killed or
//! cut off, is found by its name and label, and removed first.

mod canary;
mod objects;
mod signals;

use crate::access::Access;
use crate::client::{Client, connect};
use crate::doctor::{Check, Group, Status};
use canary::{Canary, Finding, Trouble};
use signals::Signals;
use std::time::Duration;

/// Where the probe works. A fixed name: that it can be created is the lock against a second probe.
const NAMESPACE: &str = "watertight-probe";

/// How the proof is made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProbeOptions {
    /// The image of both pods: one that has `agnhost` as its entry point.
    pub image: String,
    /// Bound on the experiment, without the clearing away.
    pub within: Duration,
}

impl Default for ProbeOptions {
    fn default() -> Self {
        Self { image: "registry.k8s.io/e2e-test-images/agnhost:2.63.0".to_owned(), within: Duration::from_secs(180) }
    }
}

/// Makes the experiment, and clears it away. `say` hears what happens in the cluster, as it happens.
pub fn probe(access: &Access, options: &ProbeOptions, say: &mut dyn FnMut(&str)) -> Vec<Check> {
    let client = match connect(access) {
        Ok(client) => client,
        Err(error) => return vec![check(Status::Unknown, format!("not tried: {error}")).hint(error.help())],
    };
    match client.block_on(run(&client, options, say)) {
        Ok(checks) => checks,
        Err(error) => vec![check(Status::Unknown, format!("not tried: {error}")).hint(error.help())],
    }
}

fn check(status: Status, message: impl Into<String>) -> Check {
    Check::new(Group::Plugin, "probe", status, message)
}

async fn run(client: &Client, options: &ProbeOptions, say: &mut dyn FnMut(&str)) -> Vec<Check> {
    // From here on a signal does not end the process, but the experiment.
    let mut signals = match Signals::listen() {
        Ok(signals) => signals,
        Err(error) => {
            return vec![check(
                Status::Unknown,
                format!("not tried: signals cannot be caught, so that a canary could be left behind ({error})"),
            )];
        }
    };
    let mut canary = Canary::new(client, options);
    // Not to be cut off: whether the namespace exists must be known.
    let outcome = match canary.settle(say).await {
        Ok(()) => tokio::select! {
            outcome = canary.experiment(say) => outcome,
            name = signals.any() => Err(Trouble::Interrupted(name)),
            () = tokio::time::sleep(options.within) => Err(Trouble::TooLong(options.within)),
        },
        Err(trouble) => Err(trouble),
    };
    let mut checks = vec![outcome.map_or_else(|trouble| complaint(&trouble), |finding| verdict(&finding))];
    if let Err(why) = canary.clear_away(say).await {
        let left = Check::new(
            Group::Plugin,
            "probe-cleanup",
            Status::Fail,
            format!("namespace `{NAMESPACE}` may still be there: {why}"),
        );
        checks.push(left.hint(format!("kubectl delete namespace {NAMESPACE}")));
    }
    checks
}

fn verdict(finding: &Finding) -> Check {
    match finding {
        Finding::Enforced { how, after } => check(
            Status::Ok,
            format!(
                "policies are enforced: a connection that was open failed ({how}) {} s after a policy denied it, and was open again without the policy",
                after.as_secs()
            ),
        ),
        Finding::NotEnforced { attempts, during } => check(
            Status::Fail,
            format!(
                "nothing enforces policies: under a policy that denies all ingress, {attempts} of {attempts} connections succeeded in {} s",
                during.as_secs()
            ),
        )
        .hint("install a plugin that enforces them beside or instead of the one that is there, such as Calico or kube-network-policies"),
        Finding::NeverOpen { how } => check(
            Status::Unknown,
            format!("undecided: the connection failed ({how}) before there was any policy of the probe"),
        )
        .hint("a policy of the whole cluster may deny it: watertight audit"),
        Finding::StaysClosed { how } => check(
            Status::Unknown,
            format!("undecided: the connection failed under the policy, and still ({how}) after the policy was gone"),
        )
        .hint("run it again; if it stays so, removed policies stay in force on this cluster"),
    }
}

fn complaint(trouble: &Trouble) -> Check {
    match trouble {
        Trouble::Access(error) => check(Status::Unknown, format!("not decided: {error}")).hint(error.help()),
        Trouble::Refused { what, why, forbidden } => {
            let check = check(Status::Unknown, format!("not decided: the server refused {what}: {why}"));
            if *forbidden {
                check.hint(format!("bind this ClusterRole to yourself:\n{}", objects::ROLE))
            } else {
                check
            }
        }
        Trouble::NotOurs => check(
            Status::Unknown,
            format!("not tried: there is a namespace `{NAMESPACE}` that no probe made, so it is left alone"),
        ),
        Trouble::Stuck { pod, why, image } => {
            let check = check(Status::Unknown, format!("not decided: pod `{pod}` does not run: {why}"));
            if *image {
                check.hint("--probe-image names the image in a registry that the nodes can reach")
            } else {
                check
            }
        }
        Trouble::Gone => check(Status::Unknown, format!("not decided: somebody else removed namespace `{NAMESPACE}`")),
        Trouble::TooLong(bound) => check(Status::Unknown, format!("not decided within {} s", bound.as_secs())),
        // Never an exit code of success for a run that was cut off.
        Trouble::Interrupted(signal) => check(Status::Fail, format!("not decided: interrupted by {signal}")),
    }
}
