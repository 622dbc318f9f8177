/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only OR BSD-2-Clause */
/*
 * From a frame to addresses and ports, or to the reason why not. Everything is read with bpf_skb_load_bytes, which checks
 * bounds and reaches into fragments of the buffer (P9). Payload is never looked at (P28). Numbers P1 to P32: docs/datapath.md.
 */
#ifndef WT_PARSE_H
#define WT_PARSE_H

#include "maps.h"
#include <bpf/bpf_endian.h>

#define ETH_HEADER 14
#define ETH_P_IP 0x0800
#define ETH_P_ARP 0x0806
#define ETH_P_8021Q 0x8100
#define ETH_P_8021AD 0x88a8
#define ETH_P_IPV6 0x86dd

#define PROTO_ICMP 1
#define PROTO_TCP 6
#define PROTO_UDP 17
#define PROTO_ICMPV6 58
#define PROTO_SCTP 132

#define TCP_FIN 1
#define TCP_SYN 2
#define TCP_RST 4
#define TCP_ACK 16

/* Longest walk over IPv6 extension headers. */
#define EXTENSIONS_MAX 6

enum kind {
	KIND_FLOW, /* has an entry in `flows` of its own */
	KIND_LATER_FRAGMENT,
	KIND_ICMP_ERROR,
	KIND_NEIGHBOUR, /* neighbour discovery and multicast listener reports */
	KIND_ROUTER, /* router advertisement, redirect */
	KIND_ARP,
};

struct packet {
	__u32 src[4];
	__u32 dst[4];
	__u32 l3; /* offset of the IP header */
	__u32 l4; /* offset of what is inside */
	__u32 l4_len; /* bytes of it, as the IP header says */
	__u32 fragment_id;
	__u32 fragment_len; /* bytes of the whole that are in this fragment */
	__u16 fragment_at;
	__u16 sport;
	__u16 dport;
	__u8 family;
	__u8 protocol;
	__u8 index; /* of the protocol in a table of ports */
	__u8 tcp; /* flags */
	__u8 kind;
	__u8 first_fragment;
	__u8 echo; /* 1: asks, 2: answers */
	__u8 icmp;
};

struct ipv4 {
	__u8 version_ihl;
	__u8 tos;
	__be16 length;
	__be16 id;
	__be16 fragment;
	__u8 ttl;
	__u8 protocol;
	__u16 sum;
	__be32 src;
	__be32 dst;
};

struct ipv6 {
	__be32 version_flow;
	__be16 length;
	__u8 next;
	__u8 hops;
	__u32 src[4];
	__u32 dst[4];
};

/* TCP, UDP, SCTP, ICMP: ports, and what else decides what the packet is. */
static __always_inline int parse_transport(struct __sk_buff *skb, struct packet *p)
{
	__u8 h[20];
	__u32 need;

	switch (p->protocol) {
	case PROTO_TCP:
		need = 20;
		p->index = 0;
		break;
	case PROTO_UDP:
		need = 8;
		p->index = 1;
		break;
	case PROTO_SCTP:
		need = 12;
		p->index = 2;
		break;
	case PROTO_ICMP:
		p->index = WT_OTHER_PROTOCOL;
		if (p->family != WT_IPV4)
			return 0;
		need = 8;
		break;
	case PROTO_ICMPV6:
		p->index = WT_OTHER_PROTOCOL;
		if (p->family != WT_IPV6)
			return 0;
		need = 8;
		break;
	default:
		p->index = WT_OTHER_PROTOCOL;
		return 0;
	}
	if (p->l4_len < need)
		return p->first_fragment ? WT_DROP_FRAGMENT_TINY : WT_DROP_TRANSPORT_HEADER;
	if (p->protocol == PROTO_TCP) {
		if (bpf_skb_load_bytes(skb, p->l4, h, 20))
			return WT_DROP_UNREADABLE;
		p->tcp = h[13];
		__u32 header = (h[12] >> 4) * 4;
		if (header < 20 || header > p->l4_len)
			return WT_DROP_TRANSPORT_HEADER;
	} else if (bpf_skb_load_bytes(skb, p->l4, h, 8)) {
		return WT_DROP_UNREADABLE;
	}
	if (p->index != WT_OTHER_PROTOCOL) {
		p->sport = (__u16)(h[0] << 8 | h[1]);
		p->dport = (__u16)(h[2] << 8 | h[3]);
		return 0;
	}
	p->icmp = h[0];
	/* Echo: the identifier stands for a port. */
	p->sport = (__u16)(h[4] << 8 | h[5]);
	if (p->family == WT_IPV4) {
		switch (h[0]) {
		case 8:
			p->echo = 1;
			return 0;
		case 0:
			p->echo = 2;
			return 0;
		case 3: case 4: case 5: case 11: case 12:
			p->kind = KIND_ICMP_ERROR;
			break;
		}
	} else {
		switch (h[0]) {
		case 128:
			p->echo = 1;
			return 0;
		case 129:
			p->echo = 2;
			return 0;
		case 1: case 2: case 3: case 4:
			p->kind = KIND_ICMP_ERROR;
			break;
		case 133: case 135: case 136:
		case 130: case 131: case 132: case 143:
			p->kind = KIND_NEIGHBOUR;
			break;
		case 134: case 137:
			p->kind = KIND_ROUTER;
			break;
		}
	}
	p->sport = 0;
	return 0;
}

static __always_inline int parse_ipv4(struct __sk_buff *skb, struct packet *p)
{
	struct ipv4 h;

	if (bpf_skb_load_bytes(skb, p->l3, &h, sizeof(h)))
		return WT_DROP_IP_HEADER;
	if (h.version_ihl >> 4 != 4)
		return WT_DROP_IP_VERSION;
	__u32 header = (h.version_ihl & 15) * 4;
	__u32 length = bpf_ntohs(h.length);
	__u32 frame = skb->len - p->l3;
	/* A packet of more than 64 KiB inside the kernel says 0. */
	if (!length && skb->gso_size)
		length = frame;
	if (header < 20 || length < header || length > frame)
		return WT_DROP_IP_HEADER;
	p->family = WT_IPV4;
	p->src[0] = h.src;
	p->dst[0] = h.dst;
	p->protocol = h.protocol;
	p->l4 = p->l3 + header;
	p->l4_len = length - header;
	__u16 fragment = bpf_ntohs(h.fragment);
	if (fragment & 0x3fff) {
		p->fragment_id = h.id;
		p->fragment_at = (fragment & 0x1fff) * 8;
		p->fragment_len = p->l4_len;
		if (p->fragment_at) {
			p->kind = KIND_LATER_FRAGMENT;
			return 0;
		}
		p->first_fragment = 1;
	}
	return parse_transport(skb, p);
}

static __always_inline int parse_ipv6(struct __sk_buff *skb, struct packet *p)
{
	struct ipv6 h;

	if (bpf_skb_load_bytes(skb, p->l3, &h, sizeof(h)))
		return WT_DROP_IP_HEADER;
	if ((bpf_ntohl(h.version_flow) >> 28) != 6)
		return WT_DROP_IP_VERSION;
	__u32 length = bpf_ntohs(h.length);
	__u32 frame = skb->len - p->l3;
	if (!length && skb->gso_size)
		length = frame - sizeof(h);
	if (frame < sizeof(h) || length > frame - sizeof(h))
		return WT_DROP_IP_HEADER;
	p->family = WT_IPV6;
	__builtin_memcpy(p->src, h.src, 16);
	__builtin_memcpy(p->dst, h.dst, 16);
	__u32 at = p->l3 + sizeof(h);
	__u32 end = at + length;
	__u8 next = h.next;

	for (int i = 0; i <= EXTENSIONS_MAX; i++) {
		__u8 e[8];

		switch (next) {
		case 0: /* hop by hop */
		case 43: /* routing */
		case 60: /* destination options */
		case 44: /* fragment */
		case 51: /* authentication */
			break;
		case 135: case 139: case 140: case 253: case 254: /* extension headers that are not walked */
			return WT_DROP_EXTENSION_HEADERS;
		default:
			p->protocol = next;
			p->l4 = at;
			p->l4_len = end - at;
			return parse_transport(skb, p);
		}
		if (i == EXTENSIONS_MAX || at + 8 > end)
			return WT_DROP_EXTENSION_HEADERS;
		if (bpf_skb_load_bytes(skb, at, e, 8))
			return WT_DROP_UNREADABLE;
		/* Segments left: the address in the header is not the destination. */
		if (next == 43 && e[3])
			return WT_DROP_ROUTING_HEADER;
		if (next == 44) {
			__u16 fragment = (__u16)(e[2] << 8 | e[3]);

			/* Neither an offset nor more to come: a whole packet (P13). */
			if (fragment & 0xfff9) {
				__builtin_memcpy(&p->fragment_id, e + 4, 4);
				p->fragment_at = fragment & 0xfff8;
				p->fragment_len = end - at - 8;
				if (p->fragment_at) {
					p->protocol = e[0];
					p->l4 = at + 8;
					p->l4_len = end - at - 8;
					p->kind = KIND_LATER_FRAGMENT;
					return 0;
				}
				p->first_fragment = 1;
			}
			at += 8;
		} else if (next == 51) {
			at += (e[1] + 2) * 4;
		} else {
			at += (e[1] + 1) * 8;
		}
		if (at > end)
			return WT_DROP_EXTENSION_HEADERS;
		next = e[0];
	}
	return WT_DROP_EXTENSION_HEADERS;
}

/* 0, or the reason of the doubt. `p` is zeroed by the caller. Not static: proven once. */
__attribute__((noinline)) int wt_parse(struct __sk_buff *skb, struct packet *p)
{
	__u16 type = bpf_ntohs((__u16)skb->protocol);

	if (!p)
		return WT_DROP_UNREADABLE;
	p->l3 = ETH_HEADER;
	for (int i = 0; i < 2; i++) {
		if (type == ETH_P_8021Q || type == ETH_P_8021AD) {
			__be16 tag[2];

			if (bpf_skb_load_bytes(skb, p->l3, tag, 4))
				return WT_DROP_UNREADABLE;
			type = bpf_ntohs(tag[1]);
			p->l3 += 4;
		}
	}
	switch (type) {
	case ETH_P_IP:
		return parse_ipv4(skb, p);
	case ETH_P_IPV6:
		return parse_ipv6(skb, p);
	case ETH_P_ARP:
		p->kind = KIND_ARP;
		return 0;
	case ETH_P_8021Q:
	case ETH_P_8021AD:
		return WT_DROP_VLAN_DEPTH;
	default:
		return WT_DROP_ETHER_TYPE;
	}
}

#endif
