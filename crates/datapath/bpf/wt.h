/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only OR BSD-2-Clause */
/*
 * The contract between the programs in the kernel and `watertight-datapath` in user space: names, numbers and layouts. There is
 * no other. `src/abi.rs` says the same in Rust, and a test holds it against the text of this file.
 *
 * Rules: zero is never an answer that opens anything. Addresses are in network order, padded with zeros; ports and everything
 * else in host order. Padding is always zero, because keys are compared as bytes.
 */
#ifndef WT_CONTRACT_H
#define WT_CONTRACT_H

/* Layouts that pinned maps were made with; another number means: do not touch them, make new ones. */
#define WT_ABI 1

/* Identity of nobody: closed. */
#define WT_NOBODY 0
/* The peer under which a set keeps what holds for every peer that it does not name. */
#define WT_ANYONE_ELSE 0xffffffffU
/* Longest table of ports: the search takes at most WT_SEARCH_STEPS steps. */
#define WT_TABLE_MAX 4096
#define WT_SEARCH_STEPS 13
/* Place of "any other IP protocol" beside TCP (0), UDP (1), SCTP (2) in a table of ports. */
#define WT_OTHER_PROTOCOL 3

enum wt_family {
	WT_IPV4 = 1,
	WT_IPV6 = 2,
};

/* Seen from the pod. */
enum wt_direction {
	WT_EGRESS = 1,
	WT_INGRESS = 2,
};

enum wt_verdict {
	WT_NO_VERDICT = 0,
	WT_ALLOW = 1,
	WT_DENY = 2,
};

enum wt_peer_flag {
	/* A Service's address: not yet the one that decides. */
	WT_PEER_SERVICE = 1,
};

enum wt_slot_flag {
	/* Some policy has a say in this direction: doubt is closed. */
	WT_SLOT_EGRESS = 1,
	WT_SLOT_INGRESS = 2,
};

enum wt_table_flag {
	/* Denied by a cluster tier, which a Service's address meets as well as its backend. */
	WT_TABLE_TIER_DENY = 1,
};

enum wt_control_flag {
	/* The netfilter programs are attached: an egress decision on a Service may be left to them. */
	WT_CONTROL_DEFER = 1,
};

/* Why a packet was dropped. Stable: events and metrics carry the names. */
enum wt_reason {
	WT_PASSED = 0,
	WT_DROP_POLICY = 1,
	WT_DROP_UNKNOWN_ENDPOINT = 2,
	WT_DROP_UNKNOWN_PEER = 3,
	WT_DROP_NO_TABLE = 4,
	WT_DROP_SPOOFED_SOURCE = 5,
	WT_DROP_SPOOFED_ARP = 6,
	WT_DROP_SPOOFED_NEIGHBOUR = 7,
	WT_DROP_ROUTER_MESSAGE = 8,
	WT_DROP_ETHER_TYPE = 9,
	WT_DROP_VLAN_DEPTH = 10,
	WT_DROP_IP_VERSION = 11,
	WT_DROP_IP_HEADER = 12,
	WT_DROP_TRANSPORT_HEADER = 13,
	WT_DROP_FRAGMENT_TINY = 14,
	WT_DROP_FRAGMENT_UNKNOWN = 15,
	WT_DROP_FRAGMENT_OVERLAP = 16,
	WT_DROP_EXTENSION_HEADERS = 17,
	WT_DROP_ROUTING_HEADER = 18,
	WT_DROP_ICMP_UNRELATED = 19,
	WT_DROP_FLOW_TABLE_FULL = 20,
	WT_DROP_FLOW_CUT = 21,
	WT_DROP_SERVICE_UNDECIDED = 22,
	WT_DROP_UNREADABLE = 23,
	WT_DROP_SERVICE_ADDRESS = 24,
	WT_REASONS = 25,
};

/* Things that are counted and are not drops. */
enum wt_count {
	WT_COUNT_PACKETS = 0,
	/* Would be dropped for an isolated pod (doubt), passed because this pod is not. */
	WT_COUNT_DOUBT_PASSED = 1,
	/* Allowed, and not remembered because the table of flows is full. */
	WT_COUNT_FLOW_UNTRACKED = 2,
	WT_COUNT_FLOWS_NEW = 3,
	WT_COUNT_FLOWS_JUDGED_AGAIN = 4,
	WT_COUNT_FLOWS_EXPIRED = 5,
	/* Edges that the ledger had no room for. */
	WT_COUNT_EDGE_LOST = 6,
	/* New edges whose event found no room. The ledger has them all the same. */
	WT_COUNT_EVENT_LOST = 7,
	/* Allowed by the enforced policies, denied by those in shadow. */
	WT_COUNT_SHADOW_DENIED = 8,
	/* Decisions on Services left to netfilter, and made there. */
	WT_COUNT_DEFERRED = 9,
	WT_COUNT_DECIDED = 10,
	WT_COUNTS = 11,
};

#define WT_SIZE(type, size) _Static_assert(sizeof(struct type) == (size), "layout of " #type)
#define WT_AT(type, field, at) _Static_assert(__builtin_offsetof(struct type, field) == (at), "place of " #type "." #field)

/* One word publishes everything: the programs read the bank `epoch & 1`. Element 0 of `control`. */
struct wt_control {
	__u64 epoch;
	__u32 flags;
	__u32 abi;
};
WT_SIZE(wt_control, 16);
WT_AT(wt_control, flags, 8);
WT_AT(wt_control, abi, 12);

/* `space` is bank + 2 * family. */
struct wt_address {
	__u32 space;
	__u32 addr[4];
};
WT_SIZE(wt_address, 20);
WT_AT(wt_address, addr, 4);

/* Who has an address. `ifindex`: the device of a pod of this node, else 0. */
struct wt_peer {
	__u32 identity;
	__u32 ifindex;
	__u32 flags;
	__u32 zero;
};
WT_SIZE(wt_peer, 16);
WT_AT(wt_peer, ifindex, 4);
WT_AT(wt_peer, flags, 8);

/* `prefixlen` counts the 32 bits of `space`. */
struct wt_prefix {
	__u32 prefixlen;
	__u32 space;
	__u32 addr[4];
};
WT_SIZE(wt_prefix, 24);
WT_AT(wt_prefix, space, 4);
WT_AT(wt_prefix, addr, 8);

struct wt_slot_key {
	__u32 ifindex;
	__u32 bank;
};
WT_SIZE(wt_slot_key, 8);
WT_AT(wt_slot_key, bank, 4);

/* A pod of this node. `mac`: of its own end of the cable; zero: not known, so link-local sources are not its own. */
struct wt_slot {
	__u32 egress;
	__u32 ingress;
	__u32 flags;
	__u8 mac[6];
	__u8 zero[2];
};
WT_SIZE(wt_slot, 20);
WT_AT(wt_slot, ingress, 4);
WT_AT(wt_slot, flags, 8);
WT_AT(wt_slot, mac, 12);

struct wt_entry_key {
	__u32 set;
	__u32 peer;
};
WT_SIZE(wt_entry_key, 8);
WT_AT(wt_entry_key, peer, 4);

/* A run of `ports`. */
struct wt_table {
	__u32 first;
	__u32 count;
};
WT_SIZE(wt_table, 8);
WT_AT(wt_table, count, 4);

/* Holds from `from` to the next step. `from` is protocol * 65536 + port; the first step of a table starts at 0. */
struct wt_step {
	__u32 from;
	__u32 answer;
	__u32 shadow_answer;
	__u8 verdict;
	__u8 shadow;
	__u8 flags;
	__u8 zero;
};
WT_SIZE(wt_step, 16);
WT_AT(wt_step, answer, 4);
WT_AT(wt_step, shadow_answer, 8);
WT_AT(wt_step, verdict, 12);
WT_AT(wt_step, shadow, 13);
WT_AT(wt_step, flags, 14);

/* A flow of one pod, from where the pod stands, so that both directions find the same entry. */
struct wt_flow_key {
	__u32 ifindex;
	__u8 family;
	__u8 protocol;
	__u16 local_port;
	__u16 remote_port;
	__u16 zero;
	__u32 local[4];
	__u32 remote[4];
};
WT_SIZE(wt_flow_key, 44);
WT_AT(wt_flow_key, family, 4);
WT_AT(wt_flow_key, protocol, 5);
WT_AT(wt_flow_key, local_port, 6);
WT_AT(wt_flow_key, remote_port, 8);
WT_AT(wt_flow_key, local, 12);
WT_AT(wt_flow_key, remote, 28);

enum wt_flow_flag {
	/* Opened by a process of the node. */
	WT_FLOW_LOCAL = 1,
	/* To a Service, and its backend has not been judged yet. */
	WT_FLOW_PENDING = 2,
	/* `backend` is where it really goes. */
	WT_FLOW_BACKEND = 4,
	/* Was allowed once, is denied now. */
	WT_FLOW_CUT = 8,
	/* A FIN or RST passed. */
	WT_FLOW_CLOSING = 16,
	/* The other side has answered. */
	WT_FLOW_ANSWERED = 32,
};

/* `seen`: coarse monotonic nanoseconds of a recent packet; 0: being removed. `epoch`: what it was last judged under. */
struct wt_flow {
	__u64 seen;
	__u32 epoch;
	__u8 opener;
	__u8 flags;
	__u16 backend_port;
	__u32 backend[4];
};
WT_SIZE(wt_flow, 32);
WT_AT(wt_flow, epoch, 8);
WT_AT(wt_flow, opener, 12);
WT_AT(wt_flow, flags, 13);
WT_AT(wt_flow, backend_port, 14);
WT_AT(wt_flow, backend, 16);

struct wt_fragment_key {
	__u32 ifindex;
	__u32 id;
	__u8 direction;
	__u8 family;
	__u8 protocol;
	__u8 zero;
	__u32 src[4];
	__u32 dst[4];
};
WT_SIZE(wt_fragment_key, 44);

struct wt_fragment {
	__u32 verdict;
	__u32 end;
};
WT_SIZE(wt_fragment, 8);

/*
 * Who talks to whom, with the answer. `peer` is exact for pods and nodes; of the rest of the world it is the /24 or /64 around
 * the address, and `prefix` says so.
 */
struct wt_edge_key {
	__u32 ifindex;
	__u32 answer;
	__u32 shadow_answer;
	__u8 family;
	__u8 protocol;
	__u16 port;
	__u8 direction;
	__u8 verdict;
	__u8 shadow;
	__u8 prefix;
	__u32 peer[4];
};
WT_SIZE(wt_edge_key, 36);
WT_AT(wt_edge_key, answer, 4);
WT_AT(wt_edge_key, shadow_answer, 8);
WT_AT(wt_edge_key, family, 12);
WT_AT(wt_edge_key, protocol, 13);
WT_AT(wt_edge_key, port, 14);
WT_AT(wt_edge_key, direction, 16);
WT_AT(wt_edge_key, verdict, 17);
WT_AT(wt_edge_key, shadow, 18);
WT_AT(wt_edge_key, prefix, 19);
WT_AT(wt_edge_key, peer, 20);

/* `times`: new flows if allowed, packets if denied. */
struct wt_edge {
	__u64 times;
	__u64 first;
	__u64 last;
};
WT_SIZE(wt_edge, 24);
WT_AT(wt_edge, first, 8);
WT_AT(wt_edge, last, 16);

#endif
