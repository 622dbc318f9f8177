// Package sctp speaks SCTP (RFC 9260) over raw sockets, for test machines whose kernel has no SCTP sockets.
//
// The upstream suites open SCTP connections with agnhost. What decides about those is on the way: policies, connection
// tracking, address translation. None of it can tell who wrote the packets, as long as they are right: the handshake of four
// ways with its tags, DATA, SACK, SHUTDOWN, and the checksum. The rest of the protocol (several homes and streams, loss,
// windows) is not here. Only what agnhost calls is: this module takes the place of the one that agnhost names.
//
// A process needs CAP_NET_RAW, which container runtimes give by default.
package sctp

import (
	"crypto/rand"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"io"
	"net"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"
)

const (
	chunkData             = 0
	chunkInit             = 1
	chunkInitAck          = 2
	chunkSack             = 3
	chunkHeartbeat        = 4
	chunkHeartbeatAck     = 5
	chunkAbort            = 6
	chunkShutdown         = 7
	chunkShutdownAck      = 8
	chunkCookieEcho       = 10
	chunkCookieAck        = 11
	chunkShutdownComplete = 14

	paramCookie = 7
	window      = 1 << 17
	// What is not answered is sent again, so many times.
	again    = 500 * time.Millisecond
	attempts = 20
	// How long a closing side waits for the other one.
	farewell = 300 * time.Millisecond
)

// SCTPAddr is an address with a port.
type SCTPAddr struct {
	IPAddrs []net.IPAddr
	Port    int
}

// Network is "sctp".
func (a *SCTPAddr) Network() string { return "sctp" }

func (a *SCTPAddr) String() string {
	var ips []string
	for _, ip := range a.IPAddrs {
		ips = append(ips, ip.String())
	}
	return net.JoinHostPort(strings.Join(ips, "/"), strconv.Itoa(a.Port))
}

// ResolveSCTPAddr understands HOST:PORT; without a host it means every address.
func ResolveSCTPAddr(_, addr string) (*SCTPAddr, error) {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, err
	}
	number, err := strconv.ParseUint(port, 10, 16)
	if err != nil {
		return nil, err
	}
	out := &SCTPAddr{Port: int(number)}
	if host != "" {
		ip, err := net.ResolveIPAddr("ip", host)
		if err != nil {
			return nil, err
		}
		out.IPAddrs = []net.IPAddr{*ip}
	}
	return out, nil
}

// A packet that arrived.
type packet struct {
	from   net.IPAddr
	source uint16
	tag    uint32
	chunks []chunk
}

type chunk struct {
	kind  byte
	value []byte
}

// Packets to one port of this host; nil for what is not SCTP, is meant for others, or is damaged.
func read(b []byte, from net.IPAddr, port uint16) *packet {
	if len(b) < 12 || binary.BigEndian.Uint16(b[2:]) != port {
		return nil
	}
	sum := binary.LittleEndian.Uint32(b[8:])
	whole := append([]byte(nil), b...)
	copy(whole[8:12], []byte{0, 0, 0, 0})
	if crc32.Checksum(whole, crc32.MakeTable(crc32.Castagnoli)) != sum {
		return nil
	}
	p := &packet{from: from, source: binary.BigEndian.Uint16(b), tag: binary.BigEndian.Uint32(b[4:])}
	for rest := whole[12:]; len(rest) >= 4; {
		length := int(binary.BigEndian.Uint16(rest[2:]))
		if length < 4 || length > len(rest) {
			break
		}
		p.chunks = append(p.chunks, chunk{rest[0], rest[4:length]})
		rest = rest[min((length+3)&^3, len(rest)):]
	}
	return p
}

func write(raw *net.IPConn, to net.IPAddr, source, destination uint16, tag uint32, kind, flags byte, value []byte) error {
	b := make([]byte, 16, 16+len(value)+3)
	binary.BigEndian.PutUint16(b, source)
	binary.BigEndian.PutUint16(b[2:], destination)
	binary.BigEndian.PutUint32(b[4:], tag)
	b[12], b[13] = kind, flags
	binary.BigEndian.PutUint16(b[14:], uint16(4+len(value)))
	b = append(b, value...)
	for len(b)%4 != 0 {
		b = append(b, 0)
	}
	binary.LittleEndian.PutUint32(b[8:], crc32.Checksum(b, crc32.MakeTable(crc32.Castagnoli)))
	_, err := raw.WriteToIP(b, &to)
	return err
}

func random() uint32 {
	var b [4]byte
	if _, err := rand.Read(b[:]); err != nil {
		panic(err)
	}
	// 0 is no tag.
	return binary.BigEndian.Uint32(b[:]) | 1
}

func open(ip net.IP) (*net.IPConn, error) {
	if ip == nil || ip.To4() != nil {
		return net.ListenIP("ip4:132", &net.IPAddr{IP: net.IPv4zero})
	}
	return net.ListenIP("ip6:132", &net.IPAddr{IP: net.IPv6zero})
}

// SCTPConn is an association.
type SCTPConn struct {
	raw           *net.IPConn
	own           bool // raw is this association's alone
	to            net.IPAddr
	local, remote uint16
	theirs        uint32 // tag of what we send
	forget        func()

	mu       sync.Mutex
	next     uint32 // our next TSN
	seen     uint32 // their last TSN
	deadline time.Time

	data   chan []byte
	over   chan struct{}
	end    sync.Once
	closed chan struct{}
	done   sync.Once
}

func (c *SCTPConn) send(kind, flags byte, value []byte) error {
	return write(c.raw, c.to, c.local, c.remote, c.theirs, kind, flags, value)
}

// Takes what belongs to an association that is established.
func (c *SCTPConn) take(ch chunk) {
	switch ch.kind {
	case chunkData:
		if len(ch.value) < 12 {
			return
		}
		c.mu.Lock()
		tsn := binary.BigEndian.Uint32(ch.value)
		fresh := int32(tsn-c.seen) > 0
		if fresh {
			c.seen = tsn
		}
		ack := binary.BigEndian.AppendUint32(nil, c.seen)
		c.mu.Unlock()
		ack = binary.BigEndian.AppendUint32(ack, window)
		_ = c.send(chunkSack, 0, append(ack, 0, 0, 0, 0))
		if fresh {
			select {
			case c.data <- append([]byte(nil), ch.value[12:]...):
			case <-c.over:
			}
		}
	case chunkHeartbeat:
		_ = c.send(chunkHeartbeatAck, 0, ch.value)
	case chunkShutdown:
		_ = c.send(chunkShutdownAck, 0, nil)
		c.end.Do(func() { close(c.over) })
	case chunkShutdownAck:
		_ = c.send(chunkShutdownComplete, 0, nil)
		c.finish()
	case chunkAbort, chunkShutdownComplete:
		c.finish()
	}
}

func (c *SCTPConn) finish() {
	c.end.Do(func() { close(c.over) })
	c.done.Do(func() { close(c.closed) })
}

// Read gives one message.
func (c *SCTPConn) Read(b []byte) (int, error) {
	var late <-chan time.Time
	c.mu.Lock()
	if !c.deadline.IsZero() {
		late = time.After(time.Until(c.deadline))
	}
	c.mu.Unlock()
	select {
	case message := <-c.data:
		return copy(b, message), nil
	default:
	}
	select {
	case message := <-c.data:
		return copy(b, message), nil
	case <-c.over:
		select {
		case message := <-c.data:
			return copy(b, message), nil
		default:
			return 0, io.EOF
		}
	case <-late:
		return 0, os.ErrDeadlineExceeded
	}
}

// Write sends one message.
func (c *SCTPConn) Write(b []byte) (int, error) {
	c.mu.Lock()
	value := binary.BigEndian.AppendUint32(nil, c.next)
	sequence := uint16(c.next)
	c.next++
	c.mu.Unlock()
	value = append(value, 0, 0, byte(sequence>>8), byte(sequence), 0, 0, 0, 0)
	// Begin and end of the message are here.
	if err := c.send(chunkData, 3, append(value, b...)); err != nil {
		return 0, err
	}
	return len(b), nil
}

// SetReadDeadline bounds the next Read.
func (c *SCTPConn) SetReadDeadline(t time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.deadline = t
	return nil
}

// SCTPRemoteAddr is the other end.
func (c *SCTPConn) SCTPRemoteAddr(int) (*SCTPAddr, error) {
	return &SCTPAddr{IPAddrs: []net.IPAddr{c.to}, Port: int(c.remote)}, nil
}

// Close says goodbye, and waits a moment for the answer.
func (c *SCTPConn) Close() error {
	c.mu.Lock()
	seen := binary.BigEndian.AppendUint32(nil, c.seen)
	c.mu.Unlock()
	select {
	case <-c.closed:
	default:
		if err := c.send(chunkShutdown, 0, seen); err == nil {
			select {
			case <-c.closed:
			case <-time.After(farewell):
			}
		}
	}
	c.finish()
	c.forget()
	if c.own {
		return c.raw.Close()
	}
	return nil
}

func association(raw *net.IPConn, own bool, to net.IPAddr, local, remote uint16, theirs, next, seen uint32) *SCTPConn {
	return &SCTPConn{
		raw: raw, own: own, to: to, local: local, remote: remote, theirs: theirs, next: next, seen: seen,
		forget: func() {}, data: make(chan []byte, 64), over: make(chan struct{}), closed: make(chan struct{}),
	}
}

// The fixed part of INIT and INIT ACK: tag, window, streams out and in, first TSN.
func greeting(tag, tsn uint32) []byte {
	b := binary.BigEndian.AppendUint32(nil, tag)
	b = binary.BigEndian.AppendUint32(b, window)
	b = append(b, 0, 1, 0, 1)
	return binary.BigEndian.AppendUint32(b, tsn)
}

// DialSCTP connects. It gives up after ten seconds.
func DialSCTP(_ string, _, remote *SCTPAddr) (*SCTPConn, error) {
	if len(remote.IPAddrs) == 0 {
		return nil, errors.New("no address to connect to")
	}
	to := remote.IPAddrs[0]
	raw, err := open(to.IP)
	if err != nil {
		return nil, err
	}
	tag, tsn := random(), random()
	local := uint16(32768 + random()%28232)
	port := uint16(remote.Port)
	var c *SCTPConn
	established := make(chan struct{})
	var cookie []byte
	var mu sync.Mutex
	go func() {
		ready := false
		listen(raw, local, func(p *packet) {
			// Translation on the way may be undone or not; the tag says that it is ours.
			if p.source != port || p.tag != tag {
				return
			}
			for _, ch := range p.chunks {
				switch {
				case ch.kind == chunkInitAck && len(ch.value) >= 16:
					mu.Lock()
					if c == nil {
						theirs := binary.BigEndian.Uint32(ch.value)
						first := binary.BigEndian.Uint32(ch.value[12:])
						c = association(raw, true, to, local, port, theirs, tsn, first-1)
						cookie = parameter(ch.value[16:], paramCookie)
					}
					_ = c.send(chunkCookieEcho, 0, cookie)
					mu.Unlock()
				case ch.kind == chunkCookieAck && c != nil:
					if !ready {
						ready = true
						close(established)
					}
				case c != nil:
					c.take(ch)
				}
			}
		})
	}()
	for range attempts {
		mu.Lock()
		if c == nil {
			err = write(raw, to, local, port, 0, chunkInit, 0, greeting(tag, tsn))
		} else {
			err = c.send(chunkCookieEcho, 0, cookie)
		}
		mu.Unlock()
		if err != nil {
			_ = raw.Close()
			return nil, err
		}
		select {
		case <-established:
			return c, nil
		case <-time.After(again):
		}
	}
	_ = raw.Close()
	return nil, os.ErrDeadlineExceeded
}

func parameter(b []byte, kind uint16) []byte {
	for len(b) >= 4 {
		length := int(binary.BigEndian.Uint16(b[2:]))
		if length < 4 || length > len(b) {
			return nil
		}
		if binary.BigEndian.Uint16(b) == kind {
			return append([]byte(nil), b[4:length]...)
		}
		b = b[min((length+3)&^3, len(b)):]
	}
	return nil
}

// Calls back with every packet to a port, until the socket is closed.
func listen(raw *net.IPConn, port uint16, each func(*packet)) {
	buffer := make([]byte, 1<<16)
	for {
		n, from, err := raw.ReadFromIP(buffer)
		if err != nil {
			if errors.Is(err, net.ErrClosed) {
				return
			}
			continue
		}
		if p := read(buffer[:n], *from, port); p != nil {
			each(p)
		}
	}
}

// SCTPListener accepts associations.
type SCTPListener struct {
	raw    []*net.IPConn
	port   uint16
	accept chan *SCTPConn

	mu    sync.Mutex
	known map[string]*SCTPConn
}

// ListenSCTP listens on a port, on all addresses.
func ListenSCTP(_ string, local *SCTPAddr) (*SCTPListener, error) {
	l := &SCTPListener{port: uint16(local.Port), accept: make(chan *SCTPConn, 64), known: map[string]*SCTPConn{}}
	for _, ip := range []net.IP{net.IPv4zero, net.IPv6zero} {
		raw, err := open(ip)
		switch {
		case err == nil:
			l.raw = append(l.raw, raw)
			go listen(raw, l.port, func(p *packet) { l.take(raw, p) })
		case len(ip) == net.IPv6len && len(l.raw) > 0:
			// A host without IPv6.
		default:
			_ = l.Close()
			return nil, err
		}
	}
	return l, nil
}

func (l *SCTPListener) take(raw *net.IPConn, p *packet) {
	key := net.JoinHostPort(p.from.String(), strconv.Itoa(int(p.source)))
	for _, ch := range p.chunks {
		l.mu.Lock()
		known := l.known[key]
		l.mu.Unlock()
		switch {
		case ch.kind == chunkInit && p.tag == 0 && len(ch.value) >= 16:
			tag, tsn := random(), random()
			theirs, first := binary.BigEndian.Uint32(ch.value), binary.BigEndian.Uint32(ch.value[12:])
			// Nothing is remembered before the cookie comes back. It is not signed: nobody attacks a test's server.
			cookie := []byte{0, paramCookie, 0, 20}
			for _, n := range []uint32{tag, theirs, tsn, first} {
				cookie = binary.BigEndian.AppendUint32(cookie, n)
			}
			_ = write(raw, p.from, l.port, p.source, theirs, chunkInitAck, 0, append(greeting(tag, tsn), cookie...))
		case ch.kind == chunkCookieEcho && len(ch.value) >= 16 && binary.BigEndian.Uint32(ch.value) == p.tag:
			theirs := binary.BigEndian.Uint32(ch.value[4:])
			if known == nil || known.theirs != theirs {
				next, first := binary.BigEndian.Uint32(ch.value[8:]), binary.BigEndian.Uint32(ch.value[12:])
				known = association(raw, false, p.from, l.port, p.source, theirs, next, first-1)
				known.forget = func() {
					l.mu.Lock()
					defer l.mu.Unlock()
					delete(l.known, key)
				}
				l.mu.Lock()
				l.known[key] = known
				l.mu.Unlock()
				_ = known.send(chunkCookieAck, 0, nil)
				l.accept <- known
			} else {
				_ = known.send(chunkCookieAck, 0, nil)
			}
		case known != nil:
			known.take(ch)
		}
	}
}

// AcceptSCTP waits for the next association.
func (l *SCTPListener) AcceptSCTP() (*SCTPConn, error) {
	c, ok := <-l.accept
	if !ok {
		return nil, net.ErrClosed
	}
	return c, nil
}

// Close stops listening.
func (l *SCTPListener) Close() error {
	var err error
	for _, raw := range l.raw {
		err = errors.Join(err, raw.Close())
	}
	return err
}
