// What kind asks of the container runtime, and what a person needs to look into a node: `crictl inspecti NAME`,
// `crictl images`, `crictl ps`.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"text/tabwriter"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	cri "k8s.io/cri-api/pkg/apis/runtime/v1"
)

const socket = "unix:///run/containerd/containerd.sock"

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "crictl:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	connection, err := grpc.NewClient(socket, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return err
	}
	defer connection.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	switch {
	case len(args) == 2 && args[0] == "inspecti":
		return inspectImage(ctx, cri.NewImageServiceClient(connection), args[1])
	case len(args) == 1 && args[0] == "images":
		return listImages(ctx, cri.NewImageServiceClient(connection))
	case len(args) == 1 && args[0] == "ps":
		return listContainers(ctx, cri.NewRuntimeServiceClient(connection))
	default:
		return fmt.Errorf("this one knows `inspecti IMAGE`, `images` and `ps`, not `%s`", strings.Join(args, " "))
	}
}

func inspectImage(ctx context.Context, client cri.ImageServiceClient, name string) error {
	answer, err := client.ImageStatus(ctx, &cri.ImageStatusRequest{Image: &cri.ImageSpec{Image: name}})
	if err != nil {
		return err
	}
	if answer.Image == nil {
		return fmt.Errorf("no such image %q present", name)
	}
	type status struct {
		ID          string   `json:"id"`
		RepoTags    []string `json:"repoTags"`
		RepoDigests []string `json:"repoDigests"`
		Size        uint64   `json:"size,string"`
		Pinned      bool     `json:"pinned"`
	}
	image := answer.Image
	encoder := json.NewEncoder(os.Stdout)
	encoder.SetIndent("", "  ")
	return encoder.Encode(map[string]status{
		"status": {image.Id, image.RepoTags, image.RepoDigests, image.Size, image.Pinned},
	})
}

func listImages(ctx context.Context, client cri.ImageServiceClient) error {
	answer, err := client.ListImages(ctx, &cri.ListImagesRequest{})
	if err != nil {
		return err
	}
	table := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "IMAGE\tID\tSIZE")
	for _, image := range answer.Images {
		names := image.RepoTags
		if len(names) == 0 {
			names = []string{"<none>"}
		}
		for _, name := range names {
			fmt.Fprintf(table, "%s\t%s\t%.1fMB\n", name, short(image.Id), float64(image.Size)/1e6)
		}
	}
	return table.Flush()
}

func listContainers(ctx context.Context, client cri.RuntimeServiceClient) error {
	answer, err := client.ListContainers(ctx, &cri.ListContainersRequest{})
	if err != nil {
		return err
	}
	table := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "CONTAINER\tSTATE\tNAME\tATTEMPT\tNAMESPACE\tPOD")
	for _, container := range answer.Containers {
		fmt.Fprintf(table, "%s\t%s\t%s\t%d\t%s\t%s\n",
			short(container.Id), strings.TrimPrefix(container.State.String(), "CONTAINER_"),
			container.Metadata.Name, container.Metadata.Attempt,
			container.Labels["io.kubernetes.pod.namespace"], container.Labels["io.kubernetes.pod.name"])
	}
	return table.Flush()
}

func short(id string) string {
	id = strings.TrimPrefix(id, "sha256:")
	if len(id) > 13 {
		return id[:13]
	}
	return id
}
