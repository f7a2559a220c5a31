package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"strings"
	"time"
)

const account = "/var/run/secrets/kubernetes.io/serviceaccount/"

// server is the API server. Kubernetes' own client would take ten times the memory for the few questions asked here.
type server struct {
	base   string
	client *http.Client
}

// refusal is an answer of the API server that is no success.
type refusal struct {
	status int
	text   string
}

func (r *refusal) Error() string { return fmt.Sprintf("the API server says %d: %s", r.status, r.text) }

func newServer() (*server, error) {
	pem, err := os.ReadFile(account + "ca.crt")
	if err != nil {
		return nil, err
	}
	authorities := x509.NewCertPool()
	authorities.AppendCertsFromPEM(pem)
	// kind names the server's own address, which needs no service rules to be there yet.
	address := os.Getenv("CONTROL_PLANE_ENDPOINT")
	if address == "" {
		address = net.JoinHostPort(os.Getenv("KUBERNETES_SERVICE_HOST"), os.Getenv("KUBERNETES_SERVICE_PORT"))
	}
	transport := &http.Transport{
		TLSClientConfig:       &tls.Config{RootCAs: authorities, MinVersion: tls.VersionTLS12},
		ForceAttemptHTTP2:     true,
		ResponseHeaderTimeout: 20 * time.Second,
		IdleConnTimeout:       time.Minute,
		DialContext:           (&net.Dialer{Timeout: 5 * time.Second, KeepAlive: 15 * time.Second}).DialContext,
		HTTP2:                 &http.HTTP2Config{SendPingTimeout: 15 * time.Second, PingTimeout: 10 * time.Second},
	}
	return &server{base: "https://" + address, client: &http.Client{Transport: transport}}, nil
}

func (s *server) request(ctx context.Context, method, path string, body any) (*http.Response, error) {
	var content io.Reader
	if body != nil {
		text, err := json.Marshal(body)
		if err != nil {
			return nil, err
		}
		content = bytes.NewReader(text)
	}
	request, err := http.NewRequestWithContext(ctx, method, s.base+path, content)
	if err != nil {
		return nil, err
	}
	// Read anew each time: it is replaced every hour.
	token, err := os.ReadFile(account + "token")
	if err != nil {
		return nil, err
	}
	request.Header.Set("Authorization", "Bearer "+strings.TrimSpace(string(token)))
	request.Header.Set("Accept", "application/json")
	request.Header.Set("Content-Type", "application/json")
	response, err := s.client.Do(request)
	if err != nil {
		return nil, err
	}
	if response.StatusCode >= 300 {
		defer response.Body.Close()
		text, _ := io.ReadAll(io.LimitReader(response.Body, 2000))
		return nil, &refusal{response.StatusCode, string(text)}
	}
	return response, nil
}

// call asks once; answer may be nil.
func (s *server) call(ctx context.Context, method, path string, body, answer any) error {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	response, err := s.request(ctx, method, path, body)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if answer == nil {
		_, err = io.Copy(io.Discard, response.Body)
		return err
	}
	return json.NewDecoder(response.Body).Decode(answer)
}

// follow tells of every change below a path, and once for what is there already.
func (s *server) follow(ctx context.Context, path string, tell func()) {
	for ctx.Err() == nil {
		if err := s.watch(ctx, path, tell); err != nil && ctx.Err() == nil {
			log.Printf("watching %s: %v", path, err)
			time.Sleep(time.Second)
		}
	}
}

func (s *server) watch(ctx context.Context, path string, tell func()) error {
	// The server ends it earlier: this deadline is for a server that is gone without a word.
	ctx, cancel := context.WithTimeout(ctx, 6*time.Minute)
	defer cancel()
	response, err := s.request(ctx, http.MethodGet, path+"?watch=true&timeoutSeconds=300", nil)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	reader := bufio.NewReaderSize(response.Body, 4096)
	for {
		// One document a line; what it says is asked for afterwards, all at once.
		_, more, err := reader.ReadLine()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		if !more {
			tell()
		}
	}
}
