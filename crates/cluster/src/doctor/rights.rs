//! May every kind be listed?
//!
//! Asks with SelfSubjectAccessReviews, which any authenticated user may create and which change nothing; where the
//! server refuses even those, with a LIST of one object.

use super::{Check, Group, Status};
use crate::client::Client;
use crate::error::AccessError;
use crate::kinds::{KINDS, Kind, cluster_role};
use crate::read::{holding, served, versions};
use serde::Deserialize;
use serde_json::json;

const REVIEWS: &str = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews";

#[derive(Deserialize)]
struct Review {
    status: ReviewStatus,
}

#[derive(Deserialize)]
struct ReviewStatus {
    allowed: bool,
}

pub(super) fn checks(client: &Client) -> Result<Vec<Check>, AccessError> {
    let served = served(client)?;
    let mut allowed = Vec::new();
    let mut forbidden: Vec<&Kind> = Vec::new();
    let mut odd = Vec::new();
    for kind in KINDS {
        match versions(kind, &served) {
            Ok(versions) => {
                let Some(version) = versions.first() else { continue };
                if may_list(client, kind, version)? {
                    allowed.push(kind);
                } else {
                    forbidden.push(kind);
                }
            }
            Err(offered) => {
                let there = holding(client, kind, offered)?;
                if !there.is_empty() {
                    odd.push((kind, there));
                }
            }
        }
    }
    let total = allowed.len() + forbidden.len();
    let mut checks = Vec::new();
    if forbidden.is_empty() {
        let message = format!("all {total} kinds may be listed across the cluster");
        checks.push(Check::new(Group::Rights, "list", Status::Ok, message));
    } else {
        let names: Vec<String> = forbidden.iter().map(|kind| kind.full_name()).collect();
        let message = format!(
            "{} of {total} kinds may not be listed across the cluster, so answers will be incomplete: {}",
            forbidden.len(),
            names.join(", ")
        );
        // Without policies or pods every verdict is unsound; without the rest some are uncertain.
        let vital = |kind: &&Kind| matches!(kind.kind, "Pod" | "Namespace" | "NetworkPolicy");
        let status = if forbidden.iter().any(vital) { Status::Fail } else { Status::Warn };
        let hint = format!("bind this ClusterRole to yourself:\n{}", cluster_role(&forbidden));
        checks.push(Check::new(Group::Rights, "list", status, message).hint(hint));
    }
    for (kind, offered) in odd {
        let message = format!("{} is served as {} only, which is not understood", kind.full_name(), offered.join(", "));
        checks.push(Check::new(Group::Rights, format!("version of {}", kind.full_name()), Status::Warn, message));
    }
    Ok(checks)
}

fn may_list(client: &Client, kind: &Kind, version: &str) -> Result<bool, AccessError> {
    let review = json!({
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SelfSubjectAccessReview",
        "spec": { "resourceAttributes": { "verb": "list", "group": kind.group, "resource": kind.resource } },
    });
    let answer = client.post(REVIEWS, review.to_string())?;
    if matches!(answer.status, 200 | 201) {
        let review: Review =
            serde_json::from_slice(&answer.body).map_err(|e| client.bad_answer(REVIEWS, e.to_string()))?;
        return Ok(review.status.allowed);
    }
    // 404: not there in any case, so nothing is missing.
    let answer = client.get(&format!("{}?limit=1", kind.path(version, None)))?;
    Ok(matches!(answer.status, 200 | 404))
}
