// SPDX-License-Identifier: MIT

package api

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"reflect"
	"strings"
	"testing"
	"time"

	"meshnode/node"
)

// fakeNode listens for a home and answers with handle, until the test ends. It
// also checks what every request must have.
func fakeNode(t *testing.T, home string, handle http.HandlerFunc) *Client {
	t.Helper()
	shut := openDoor(t, doorOf(home), http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if post := r.Method != http.MethodGet; post != (r.Header.Get("Content-Type") == "application/json") {
			t.Errorf("%s %s: content type %q", r.Method, r.URL, r.Header.Get("Content-Type"))
		}
		handle(w, r)
	}))
	t.Cleanup(shut)
	return NewClient(home)
}

func testContext(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	t.Cleanup(cancel)
	return ctx
}

func TestClientCalls(t *testing.T) {
	var got string
	c := fakeNode(t, t.TempDir(), func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		got = fmt.Sprintf("%s %s %s", r.Method, r.URL.EscapedPath(), body)
		switch r.URL.Path {
		case "/v1/status":
			fmt.Fprint(w, `{"mesh":"home","self":{"id":"a","name":"workshop"}}`)
		case "/v1/peers":
			fmt.Fprint(w, `{"peers":[{"id":"b","slots":3}]}`)
		case "/v1/jobs":
			fmt.Fprint(w, `{"jobs":[{"id":"c","frames":7}]}`)
		default:
			w.WriteHeader(http.StatusNoContent)
		}
	})
	ctx := testContext(t)
	status, err := c.Status(ctx)
	if err != nil || status.Mesh != "home" || status.Self.Advert == nil || status.Self.Name != "workshop" || got != "GET /v1/status " {
		t.Errorf("Status: %+v, %v after %q", status, err, got)
	}
	peers, err := c.Peers(ctx)
	if err != nil || len(peers) != 1 || peers[0].ID != "b" || peers[0].Slots != 3 {
		t.Errorf("Peers: %+v, %v after %q", peers, err, got)
	}
	jobs, err := c.Jobs(ctx)
	if err != nil || len(jobs) != 1 || jobs[0].ID != "c" || jobs[0].Frames != 7 {
		t.Errorf("Jobs: %+v, %v after %q", jobs, err, got)
	}
	for _, test := range []struct {
		call func() error
		want string
	}{
		{func() error { return c.Cancel(ctx, "a/b") }, "POST /v1/jobs/a%2Fb/cancel "},
		{func() error { return c.Pause(ctx, true) }, `POST /v1/pause {"paused":true}`},
		{func() error { return c.Stop(ctx) }, "POST /v1/stop "},
	} {
		if err := test.call(); err != nil || got != test.want {
			t.Errorf("asked for %q, %v; want %q", got, err, test.want)
		}
	}
}

func TestClientHold(t *testing.T) {
	left := make(chan struct{})
	c := fakeNode(t, t.TempDir(), func(w http.ResponseWriter, r *http.Request) {
		_ = http.NewResponseController(w).Flush()
		<-r.Context().Done()
		close(left)
	})
	hold, err := c.Hold(testContext(t))
	if err != nil {
		t.Fatal(err)
	}
	select {
	case <-left:
		t.Error("the node sees no client")
	default:
	}
	if err := hold.Close(); err != nil {
		t.Error(err)
	}
	<-left
}

func TestClientPublish(t *testing.T) {
	const final = `{"event":"finished","file":"/a.mp4"}` + "\n"
	req := node.PublishRequest{Args: []string{"scene.py"}, Dir: "/", Env: []string{"A=b"}}
	for _, test := range []struct {
		name, stream string
		want         []string // kinds of events
		err          error    // wrapped; nil: none
	}{
		{"finished", `{"event":"planning","frames":3}` + "\n\n" + final, []string{"planning", "finished"}, nil},
		{"failed", `{"event":"failed"}`, []string{"failed"}, nil},
		{"nothing after the last", final + "garbage", []string{"finished"}, nil},
		{"unknown kind", `{"event":"news","what":[1]}` + "\n" + final, []string{"news", "finished"}, nil},
		{"broken off", `{"event":"planning"}` + "\n", []string{"planning"}, ErrBroken},
		{"empty", "", nil, ErrBroken},
		{"garbage", "{\n" + final, nil, errAny},
		{"too long", strings.Repeat(" ", maxEvent) + final, nil, ErrBroken},
	} {
		t.Run(test.name, func(t *testing.T) {
			c := fakeNode(t, t.TempDir(), func(w http.ResponseWriter, r *http.Request) {
				body, _ := io.ReadAll(r.Body)
				if want := `{"args":["scene.py"],"dir":"/","env":["A=b"]}`; string(body) != want {
					t.Errorf("asked for %s, want %s", body, want)
				}
				fmt.Fprint(w, test.stream)
			})
			var got []string
			err := c.Publish(testContext(t), req, func(e node.Event) { got = append(got, e.Event) })
			if !reflect.DeepEqual(got, test.want) {
				t.Errorf("events %q, want %q", got, test.want)
			}
			if (err == nil) != (test.err == nil) || test.err != errAny && !errors.Is(err, test.err) {
				t.Errorf("error %v, want %v", err, test.err)
			}
		})
	}
}

var errAny = errors.New("any error")

func TestClientFollow(t *testing.T) {
	c := fakeNode(t, t.TempDir(), func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		if got, want := r.Method+" "+r.URL.EscapedPath()+" "+string(body), `POST /v1/jobs/abcd/follow {"preview":true}`; got != want {
			w.WriteHeader(http.StatusNotFound)
			fmt.Fprint(w, `{"error":"no such job"}`)
			return
		}
		w.Header().Set("Content-Disposition", `inline; filename=Sine.mp4`)
		fmt.Fprint(w, "the beginning")
		_ = http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	})
	film, err := c.Follow(testContext(t), "abcd", node.FollowRequest{Preview: true})
	if err != nil {
		t.Fatal(err)
	}
	defer film.Close()
	got, err := io.ReadAll(film)
	if string(got) != "the beginning" || film.Name != "Sine.mp4" || !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("%s: %q, %v", film.Name, got, err)
	}
	var refused *Error
	if _, err := c.Follow(testContext(t), "none", node.FollowRequest{}); !errors.As(err, &refused) || refused.Text != "no such job" {
		t.Errorf("refusal: %v", err)
	}
}

// TestClientPublishCanceled checks that ending the context tells the node.
func TestClientPublishCanceled(t *testing.T) {
	left := make(chan struct{})
	c := fakeNode(t, t.TempDir(), func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		fmt.Fprintln(w, `{"event":"planning"}`)
		_ = http.NewResponseController(w).Flush()
		<-r.Context().Done()
		close(left)
	})
	ctx, cancel := context.WithCancelCause(testContext(t))
	enough := errors.New("enough")
	err := c.Publish(ctx, node.PublishRequest{}, func(node.Event) { cancel(enough) })
	if err != enough {
		t.Errorf("error %v, want the cause of the context", err)
	}
	<-left
}

func TestClientFailures(t *testing.T) {
	ctx := testContext(t)
	for _, test := range []struct {
		answer string
		want   string
	}{
		{"HTTP/1.1 404 Not Found\r\n\r\n" + `{"error":"no such job"}`, "no such job"},
		{"HTTP/1.1 500 Internal Server Error\r\n\r\nwhat?", "500 Internal Server Error"},
		{"HTTP/1.1 200 OK\r\n\r\n{", "read the answer"},
		{"HTTP/1.1 200 OK\r\n\r\n", "read the answer"},
		{"", ErrBroken.Error()},
		{"220 smtp", "reach the node"},
	} {
		c := answerRaw(t, test.answer)
		if _, err := c.Jobs(ctx); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("after %q: %v, want %q", test.answer, err, test.want)
		}
	}
	var refused *Error
	if err := answerRaw(t, "HTTP/1.1 503 Service Unavailable\r\n\r\n{}").Stop(ctx); !errors.As(err, &refused) || refused.Status != 503 {
		t.Errorf("refusal: %v", err)
	}

	canceled, cancel := context.WithCancel(ctx)
	cancel()
	if _, err := answerRaw(t, "").Peers(canceled); !errors.Is(err, context.Canceled) {
		t.Errorf("canceled: %v", err)
	}
}

// answerRaw returns a client of a node that answers each request with the same
// bytes.
func answerRaw(t *testing.T, answer string) *Client {
	t.Helper()
	listener, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			_, _ = conn.Read(make([]byte, 4096)) // the request fits
			_, _ = io.WriteString(conn, answer)
			_ = conn.Close()
		}
	}()
	t.Cleanup(func() { _ = listener.Close(); <-ended })
	return &Client{found{entry{network: "tcp4", address: listener.Addr().String(), host: "meshnode"}}}
}

// found is a door whose entry is known.
type found struct{ entry }

func (found) listen() (net.Listener, entry, error) { return nil, entry{}, errors.ErrUnsupported }

func (f found) find(context.Context) (entry, error) { return f.entry, nil }
