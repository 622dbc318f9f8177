package sctp

import "testing"

// A request and its answer over loopback, as agnhost makes them. Needs CAP_NET_RAW.
func TestARequestAndItsAnswer(t *testing.T) {
	address, err := ResolveSCTPAddr("sctp", "127.0.0.1:9003")
	if err != nil {
		t.Fatal(err)
	}
	listener, err := ListenSCTP("sctp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	go func() {
		for {
			conn, err := listener.AcceptSCTP()
			if err != nil {
				return
			}
			buffer := make([]byte, 100)
			n, _ := conn.Read(buffer)
			_, _ = conn.Write(append([]byte("you said "), buffer[:n]...))
			_ = conn.Close()
		}
	}()
	for range 3 {
		conn, err := DialSCTP("sctp", nil, address)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := conn.Write([]byte("hello")); err != nil {
			t.Fatal(err)
		}
		buffer := make([]byte, 100)
		n, err := conn.Read(buffer)
		if err != nil || string(buffer[:n]) != "you said hello" {
			t.Fatal(err, string(buffer[:n]))
		}
		if err := conn.Close(); err != nil {
			t.Fatal(err)
		}
	}
}
