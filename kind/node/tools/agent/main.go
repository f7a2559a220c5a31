// What a node needs beside Kubernetes itself: `agent network` connects the pods of the nodes, `agent volumes` makes the
// volumes that pods ask for. Each runs as a DaemonSet, one pod a node.
package main

import (
	"context"
	"fmt"
	"log"
	"os"
	"os/signal"
	"syscall"
	"time"
)

func main() {
	log.SetFlags(0)
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	if err := run(ctx, os.Args[1:]); err != nil && ctx.Err() == nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context, args []string) error {
	if len(args) != 1 {
		return fmt.Errorf("usage: agent network | agent volumes")
	}
	node := os.Getenv("NODE_NAME")
	if node == "" {
		return fmt.Errorf("NODE_NAME must name the node")
	}
	server, err := newServer()
	if err != nil {
		return err
	}
	switch args[0] {
	case "network":
		network := &network{server: server, node: node, podSubnets: splitList(os.Getenv("POD_SUBNET"))}
		return keepLevel(ctx, server, []string{"/api/v1/nodes"}, network.level)
	case "volumes":
		volumes := &volumes{server: server, node: node}
		paths := []string{"/api/v1/persistentvolumeclaims", "/api/v1/persistentvolumes"}
		return keepLevel(ctx, server, paths, volumes.level)
	default:
		return fmt.Errorf("usage: agent network | agent volumes, not %q", args[0])
	}
}

// keepLevel calls level at the beginning and whenever something below one of the paths has changed, and again after a
// while where it failed.
func keepLevel(ctx context.Context, server *server, paths []string, level func(context.Context) error) error {
	changed := make(chan struct{}, 1)
	tell := func() {
		select {
		case changed <- struct{}{}:
		default:
		}
	}
	for _, path := range paths {
		go server.follow(ctx, path, tell)
	}
	for failures := 0; ; {
		if err := level(ctx); err != nil {
			log.Print(err)
			failures++
		} else {
			failures = 0
		}
		var again <-chan time.Time
		if failures > 0 {
			again = time.After(min(time.Duration(failures)*500*time.Millisecond, 10*time.Second))
		}
		select {
		case <-ctx.Done():
			return nil
		case <-again:
		case <-changed:
			// What changes together is looked at once.
			time.Sleep(20 * time.Millisecond)
			select {
			case <-changed:
			default:
			}
		}
	}
}
