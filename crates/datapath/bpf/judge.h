/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only OR BSD-2-Clause */
/*
 * From an address to an identity, and from a set, an identity and a port to the answer that user space wrote down. Whatever is
 * missing is closed and has a reason of its own.
 */
#ifndef WT_JUDGE_H
#define WT_JUDGE_H

#include "parse.h"

struct answer {
	__u32 answer;
	__u32 shadow_answer;
	__u8 verdict;
	__u8 shadow;
	__u8 flags;
	__u8 exact; /* the peer is a pod or a node */
	__u32 reason;
};

/* Who has the address: exactly, else by the longest prefix. Returns 1 for exact, 0 for prefix, -1 for nobody. */
static __always_inline int resolve(__u32 bank, __u8 family, const __u32 *addr, struct wt_peer *out)
{
	struct wt_prefix key = {
		.prefixlen = family == WT_IPV4 ? 32 + 32 : 32 + 128,
		.space = bank + 2 * family,
		.addr = { addr[0], addr[1], addr[2], addr[3] },
	};
	struct wt_peer *peer;

	/* An address is a prefix without its length. */
	peer = bpf_map_lookup_elem(&addresses, &key.space);
	if (peer) {
		*out = *peer;
		return 1;
	}
	peer = bpf_map_lookup_elem(&prefixes, &key);
	if (peer) {
		*out = *peer;
		return 0;
	}
	return -1;
}

static __always_inline struct wt_peer *owner(__u64 epoch, __u8 family, const __u32 *addr)
{
	struct wt_address key = {
		.space = (epoch & 1) + 2 * family,
		.addr = { addr[0], addr[1], addr[2], addr[3] },
	};

	return bpf_map_lookup_elem(&addresses, &key);
}

static __always_inline struct wt_slot *slot_of(__u32 ifindex, __u64 epoch)
{
	struct wt_slot_key key = { .ifindex = ifindex, .bank = epoch & 1 };

	return bpf_map_lookup_elem(&slots, &key);
}

static __always_inline int closed(struct answer *a, __u32 reason)
{
	a->verdict = WT_DENY;
	a->shadow = WT_DENY;
	a->reason = reason;
	return 0;
}

/*
 * `where` is protocol * 65536 + port. `a` is zeroed by the caller. Not static, so that the verifier proves it once and not
 * again on every way that leads here.
 */
__attribute__((noinline)) int wt_judge(__u32 set, __u32 identity, __u32 where, struct answer *a)
{
	struct wt_entry_key key = { .set = set, .peer = identity };
	struct wt_table *table;
	struct wt_step *step, *best = 0;
	__u32 low, count;

	if (!a)
		return 0;
	if (identity == WT_NOBODY)
		return closed(a, WT_DROP_UNKNOWN_PEER);
	table = bpf_map_lookup_elem(&entries, &key);
	if (!table) {
		key.peer = WT_ANYONE_ELSE;
		table = bpf_map_lookup_elem(&entries, &key);
		if (!table)
			return closed(a, WT_DROP_NO_TABLE);
	}
	/* The last step that begins at or before `where`. The first begins at 0. */
	low = table->first;
	count = table->count;
	for (int i = 0; i < WT_SEARCH_STEPS; i++) {
		if (!count)
			break;
		__u32 half = count / 2;
		__u32 middle = low + half;

		step = bpf_map_lookup_elem(&ports, &middle);
		if (!step)
			return closed(a, WT_DROP_NO_TABLE);
		if (step->from <= where) {
			best = step;
			low = middle + 1;
			count -= half + 1;
		} else {
			count = half;
		}
	}
	if (!best || count)
		return closed(a, WT_DROP_NO_TABLE);
	a->answer = best->answer;
	a->shadow_answer = best->shadow_answer;
	a->flags = best->flags;
	a->verdict = best->verdict == WT_ALLOW ? WT_ALLOW : WT_DENY;
	a->shadow = best->shadow == WT_ALLOW ? WT_ALLOW : WT_DENY;
	a->reason = WT_DROP_POLICY;
	return 0;
}

/* Enters the flow (or the denied packet) in the ledger of edges; an edge that is new is told. */
static __noinline int note_edge(struct wt_edge_key *key, __u64 now, bool exact)
{
	struct wt_edge fresh = { .times = 1, .first = now, .last = now };
	bool allowed = key->verdict == WT_ALLOW;
	struct wt_edge *edge;

	if (!exact) {
		key->prefix = 1;
		if (key->family == WT_IPV4) {
			key->peer[0] &= bpf_htonl(0xffffff00);
		} else {
			key->peer[2] = 0;
			key->peer[3] = 0;
		}
	}
	edge = allowed ? bpf_map_lookup_elem(&edges, key) : bpf_map_lookup_elem(&denied, key);
	if (edge) {
		__sync_fetch_and_add(&edge->times, 1);
		edge->last = now;
		return 0;
	}
	long failed = allowed ? bpf_map_update_elem(&edges, key, &fresh, BPF_NOEXIST) :
				bpf_map_update_elem(&denied, key, &fresh, BPF_NOEXIST);
	if (failed) {
		/* Another processor may have been first. */
		edge = allowed ? bpf_map_lookup_elem(&edges, key) : bpf_map_lookup_elem(&denied, key);
		if (edge)
			__sync_fetch_and_add(&edge->times, 1);
		else
			count(WT_COUNT_EDGE_LOST);
		return 0;
	}
	if (bpf_ringbuf_output(&events, key, sizeof(*key), 0))
		count(WT_COUNT_EVENT_LOST);
	return 0;
}

#endif
