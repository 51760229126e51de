// Opens WebSockets, signs each in as a user of its own, answers signs of life, and keeps them idle until it is told to end.
//
//	opener KIND HOST:PORT COUNT SECRET     KIND: auren, centrifuge, socketio
//
// It prints "open COUNT" when every socket has been answered that it is signed in, and "lost N" when it ends.
package main

import (
	"bufio"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// Handshakes at the same time.
const dialers = 32

func main() {
	kind, address, secret := os.Args[1], os.Args[2], os.Args[4]
	count, err := strconv.Atoi(os.Args[3])
	check(err)
	numbers := make(chan int, count)
	for number := range count {
		numbers <- number
	}
	close(numbers)
	var group sync.WaitGroup
	var lost atomic.Int64
	for range dialers {
		group.Add(1)
		go func() {
			defer group.Done()
			for number := range numbers {
				conn := open(kind, address, number, secret)
				go func() {
					conn.stay()
					lost.Add(1)
				}()
			}
		}()
	}
	group.Wait()
	fmt.Println("open", count)
	end := make(chan os.Signal, 1)
	signal.Notify(end, os.Interrupt, syscall.SIGTERM)
	<-end
	fmt.Println("lost", lost.Load())
}

type socket struct {
	net.Conn
	reader *bufio.Reader
}

// open connects from one of many loopback addresses, so that ports do not run out, and waits until it is signed in.
func open(kind, address string, number int, secret string) *socket {
	local := &net.TCPAddr{IP: net.IPv4(127, 0, 1, byte(1+number%200))}
	dialer := net.Dialer{LocalAddr: local, Timeout: 20 * time.Second}
	conn, err := dialer.Dial("tcp4", address)
	check(err)
	one := &socket{conn, bufio.NewReaderSize(conn, 512)}
	user := fmt.Sprintf("user-%d", number)
	signed := token(user, secret)
	path, lines := "/", ""
	switch kind {
	case "auren":
		path, lines = "/v1/ws", "Authorization: Bearer "+signed+"\r\nSec-WebSocket-Protocol: auren.v1\r\n"
	case "centrifuge":
		path = "/connection/websocket"
	case "socketio":
		path = "/socket.io/?EIO=4&transport=websocket"
	}
	_, err = fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nHost: %s\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"+
		"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n%s\r\n", path, address, lines)
	check(err)
	check(conn.SetReadDeadline(time.Now().Add(30 * time.Second)))
	response, err := http.ReadResponse(one.reader, nil)
	check(err)
	if response.StatusCode != http.StatusSwitchingProtocols {
		body, _ := io.ReadAll(response.Body)
		check(fmt.Errorf("%s answers %s: %s", kind, response.Status, body))
	}
	switch kind {
	case "auren":
		one.expect(`"hello"`)
	case "centrifuge":
		one.write(1, []byte(`{"id":1,"connect":{"token":"`+signed+`"}}`))
		one.expect(`"connect":`)
	case "socketio":
		one.expect("0{")
		one.write(1, []byte(`40{"token":"`+signed+`"}`))
		one.expect(`40{"sid"`)
	}
	check(conn.SetReadDeadline(time.Time{}))
	return one
}

// stay answers whatever asks for a sign of life, until the socket ends.
func (one *socket) stay() {
	for {
		code, payload, err := one.read()
		switch {
		case err != nil || code == 8:
			return
		case code == 9:
			one.write(10, payload)
		case code == 1 && string(payload) == "2":
			one.write(1, []byte("3"))
		case code == 1 && strings.TrimSpace(string(payload)) == "{}":
			one.write(1, []byte("{}"))
		}
	}
}

func (one *socket) expect(part string) {
	for {
		code, payload, err := one.read()
		check(err)
		if code == 1 {
			if !strings.Contains(string(payload), part) {
				check(fmt.Errorf("%q was awaited, %q came", part, payload))
			}
			return
		}
	}
}

// read takes one frame; servers send short ones, unmasked and whole.
func (one *socket) read() (byte, []byte, error) {
	var head [2]byte
	if _, err := io.ReadFull(one.reader, head[:]); err != nil {
		return 0, nil, err
	}
	length := uint64(head[1] & 127)
	if length == 126 {
		var more [2]byte
		if _, err := io.ReadFull(one.reader, more[:]); err != nil {
			return 0, nil, err
		}
		length = uint64(binary.BigEndian.Uint16(more[:]))
	}
	payload := make([]byte, length)
	_, err := io.ReadFull(one.reader, payload)
	return head[0] & 15, payload, err
}

// write sends a short frame; a mask of zeros leaves the payload as it is.
func (one *socket) write(code byte, payload []byte) {
	frame := []byte{128 | code}
	if len(payload) < 126 {
		frame = append(frame, 128|byte(len(payload)))
	} else {
		frame = append(frame, 128|126)
		frame = binary.BigEndian.AppendUint16(frame, uint16(len(payload)))
	}
	frame = append(frame, 0, 0, 0, 0)
	// A socket that has ended is noticed by its reader.
	_, _ = one.Write(append(frame, payload...))
}

// token is a JSON Web Token (HS256) that all servers here believe.
func token(user, secret string) string {
	now := time.Now().Unix()
	claims := fmt.Sprintf(`{"sub":%q,"iss":"auren","aud":"auren","scope":"chat","iat":%d,"exp":%d}`, user, now, now+7200)
	encoding := base64.RawURLEncoding
	text := encoding.EncodeToString([]byte(`{"alg":"HS256","typ":"JWT"}`)) + "." + encoding.EncodeToString([]byte(claims))
	sum := hmac.New(sha256.New, []byte(secret))
	sum.Write([]byte(text))
	return text + "." + encoding.EncodeToString(sum.Sum(nil))
}

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
