package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

const (
	configFile = "/etc/cni/net.d/10-devstack.conflist"
	// Loaded again by the node's own service manager when the node starts, before Kubernetes is there.
	rulesFile = "/var/lib/devstack-node/rules.nft"
	// Routes that carry this number are ours.
	routeProtocol = "155"
)

type nodeList struct {
	Items []struct {
		Metadata struct{ Name string }
		Spec     struct{ PodCIDRs []string }
		Status   struct {
			Addresses []struct{ Type, Address string }
		}
	}
}

// network gives the pods of this node addresses, leads to those of the other nodes, and hides pods behind the node's
// address towards everything else.
type network struct {
	server     *server
	node       string
	podSubnets []string
	done       string
}

func (n *network) level(ctx context.Context) error {
	var nodes nodeList
	if err := n.server.call(ctx, http.MethodGet, "/api/v1/nodes", nil, &nodes); err != nil {
		return err
	}
	services, err := n.serviceSubnets(ctx)
	if err != nil {
		return err
	}
	var own []string
	routes := map[string]string{}
	for _, node := range nodes.Items {
		if node.Metadata.Name == n.node {
			own = node.Spec.PodCIDRs
			continue
		}
		for _, address := range node.Status.Addresses {
			for _, subnet := range node.Spec.PodCIDRs {
				if address.Type == "InternalIP" && isIPv6(address.Address) == isIPv6(subnet) {
					routes[subnet] = address.Address
				}
			}
		}
	}
	if len(own) == 0 {
		return fmt.Errorf("the node %s has no addresses for pods yet", n.node)
	}
	rules := firewallRules(own, n.podSubnets, services)
	state := fmt.Sprint(own, routes, rules)
	if state == n.done {
		return nil
	}
	if err := levelRoutes(ctx, routes); err != nil {
		return err
	}
	if err := loadRules(ctx, rules); err != nil {
		return err
	}
	// Last: the node counts as ready from here on.
	if err := writeFile(configFile, pluginConfig(own, linkMTU())); err != nil {
		return err
	}
	n.done = state
	log.Printf("pods of this node: %s; routes to other nodes: %v", strings.Join(own, " "), routes)
	return nil
}

// serviceSubnets is empty where the cluster does not say.
func (n *network) serviceSubnets(ctx context.Context) ([]string, error) {
	var list struct {
		Items []struct{ Spec struct{ CIDRs []string } }
	}
	err := n.server.call(ctx, http.MethodGet, "/apis/networking.k8s.io/v1/servicecidrs", nil, &list)
	var refused *refusal
	if errors.As(err, &refused) && refused.status < 500 {
		return nil, nil
	}
	var subnets []string
	for _, item := range list.Items {
		subnets = append(subnets, item.Spec.CIDRs...)
	}
	return subnets, err
}

func pluginConfig(subnets []string, mtu int) []byte {
	var ranges [][]map[string]string
	var routes []map[string]string
	for _, subnet := range subnets {
		ranges = append(ranges, []map[string]string{{"subnet": subnet}})
		everywhere := "0.0.0.0/0"
		if isIPv6(subnet) {
			everywhere = "::/0"
		}
		routes = append(routes, map[string]string{"dst": everywhere})
	}
	text, _ := json.MarshalIndent(map[string]any{
		"cniVersion": "0.3.1",
		"name":       "devstack",
		"plugins": []any{
			map[string]any{
				"type": "ptp", "ipMasq": false, "mtu": mtu,
				// Below /run: what was given out before the node was restarted counts for nothing.
				"ipam": map[string]any{
					"type": "host-local", "dataDir": "/run/cni-ipam-state", "ranges": ranges, "routes": routes,
				},
			},
			map[string]any{"type": "portmap", "capabilities": map[string]bool{"portMappings": true}},
		},
	}, "", "  ")
	return append(text, '\n')
}

// firewallRules hides pods behind their node, and refuses what is sent to a service for which no rule is there: it would
// leave the machine, and somebody else might answer.
func firewallRules(own, pods, services []string) string {
	var masquerade, refuse strings.Builder
	for _, subnet := range own {
		family := familyOf(subnet)
		inside := slices.DeleteFunc(slices.Clone(pods), func(other string) bool { return familyOf(other) != family })
		except := ""
		if len(inside) > 0 {
			except = fmt.Sprintf(" %s daddr != { %s }", family, strings.Join(inside, ", "))
		}
		fmt.Fprintf(&masquerade, "    %s saddr %s%s masquerade fully-random\n", family, subnet, except)
	}
	for _, subnet := range services {
		fmt.Fprintf(&refuse, "    %s daddr %s reject\n", familyOf(subnet), subnet)
	}
	return "table inet devstack-node\n" +
		"delete table inet devstack-node\n" +
		"table inet devstack-node {\n" +
		"  chain hide_pods {\n    type nat hook postrouting priority srcnat;\n" + masquerade.String() + "  }\n" +
		"  chain refuse_sent {\n    type filter hook output priority 10;\n" + refuse.String() + "  }\n" +
		"  chain refuse_passed {\n    type filter hook forward priority 10;\n" + refuse.String() + "  }\n" +
		"}\n"
}

func loadRules(ctx context.Context, rules string) error {
	if err := writeFile(rulesFile, []byte(rules)); err != nil {
		return err
	}
	_, err := command(ctx, "nft", "-f", rulesFile)
	return err
}

func levelRoutes(ctx context.Context, wanted map[string]string) error {
	for subnet, gateway := range wanted {
		if _, err := command(ctx, "ip", "route", "replace", subnet, "via", gateway, "proto", routeProtocol); err != nil {
			return err
		}
	}
	for _, family := range []string{"-4", "-6"} {
		output, err := command(ctx, "ip", family, "route", "show", "proto", routeProtocol)
		if err != nil {
			return err
		}
		for _, line := range strings.Split(output, "\n") {
			subnet, _, _ := strings.Cut(strings.TrimSpace(line), " ")
			if _, there := wanted[subnet]; subnet == "" || there {
				continue
			}
			if _, err := command(ctx, "ip", family, "route", "del", subnet, "proto", routeProtocol); err != nil {
				return err
			}
		}
	}
	return nil
}

func command(ctx context.Context, program string, args ...string) (string, error) {
	child := exec.CommandContext(ctx, program, args...)
	var stdout, stderr bytes.Buffer
	child.Stdout, child.Stderr = &stdout, &stderr
	if err := child.Run(); err != nil {
		return "", fmt.Errorf("%s %s: %w: %s", program, strings.Join(args, " "), err, stderr.String())
	}
	return stdout.String(), nil
}

// linkMTU is that of the link to the other nodes.
func linkMTU() int {
	text, err := os.ReadFile("/sys/class/net/eth0/mtu")
	mtu := 1500
	if err == nil {
		fmt.Sscan(string(text), &mtu)
	}
	return mtu
}

// writeFile replaces a file as a whole.
func writeFile(path string, content []byte) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	// The runtime reads every file of the folder that ends in conf or conflist.
	unfinished := path + ".unfinished"
	if err := os.WriteFile(unfinished, content, 0o644); err != nil {
		return err
	}
	return os.Rename(unfinished, path)
}

func familyOf(text string) string {
	if isIPv6(text) {
		return "ip6"
	}
	return "ip"
}

func isIPv6(text string) bool {
	address, _, _ := strings.Cut(text, "/")
	parsed, err := netip.ParseAddr(address)
	return err == nil && parsed.Is6()
}

func splitList(text string) []string {
	return strings.FieldsFunc(text, func(r rune) bool { return r == ',' || r == ' ' })
}
