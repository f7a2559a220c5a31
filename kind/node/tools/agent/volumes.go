package main

import (
	"context"
	"errors"
	"log"
	"net/http"
	"os"
	"path/filepath"
	"strings"
)

const (
	provisioner = "devstack.dev/node-folder"
	// Inside the node's volume, so that it lives as long as the node.
	volumesFolder   = "/var/local/volumes"
	annotatedNode   = "volume.kubernetes.io/selected-node"
	annotatedMaker  = "volume.kubernetes.io/storage-provisioner"
	annotatedOrigin = "pv.kubernetes.io/provisioned-by"
	annotatedPlace  = "devstack.dev/node"
	hostnameLabel   = "kubernetes.io/hostname"
)

type metadata struct {
	Name        string            `json:"name"`
	Namespace   string            `json:"namespace,omitempty"`
	UID         string            `json:"uid,omitempty"`
	Annotations map[string]string `json:"annotations,omitempty"`
}

type claim struct {
	Metadata metadata
	Spec     struct {
		AccessModes      []string
		StorageClassName string
		VolumeName       string
		VolumeMode       string
		Resources        struct{ Requests map[string]string }
	}
}

type volume struct {
	APIVersion string     `json:"apiVersion"`
	Kind       string     `json:"kind"`
	Metadata   metadata   `json:"metadata"`
	Spec       volumeSpec `json:"spec"`
	Status     *struct {
		Phase string `json:"phase"`
	} `json:"status,omitempty"`
}

type volumeSpec struct {
	Capacity         map[string]string `json:"capacity"`
	AccessModes      []string          `json:"accessModes"`
	StorageClassName string            `json:"storageClassName"`
	ReclaimPolicy    string            `json:"persistentVolumeReclaimPolicy"`
	ClaimRef         map[string]string `json:"claimRef"`
	Local            struct {
		Path string `json:"path"`
	} `json:"local"`
	NodeAffinity map[string]any `json:"nodeAffinity"`
}

// volumes makes a folder of this node for every claim whose pod was placed here, and removes it with its volume.
type volumes struct {
	server *server
	node   string
}

func (v *volumes) level(ctx context.Context) error {
	var claims struct{ Items []claim }
	if err := v.server.call(ctx, http.MethodGet, "/api/v1/persistentvolumeclaims", nil, &claims); err != nil {
		return err
	}
	var problems []error
	for _, claim := range claims.Items {
		notes := claim.Metadata.Annotations
		if claim.Spec.VolumeName != "" || notes[annotatedMaker] != provisioner || notes[annotatedNode] != v.node {
			continue
		}
		problems = append(problems, v.make(ctx, claim))
	}
	var made struct{ Items []volume }
	if err := v.server.call(ctx, http.MethodGet, "/api/v1/persistentvolumes", nil, &made); err != nil {
		return err
	}
	for _, volume := range made.Items {
		released := volume.Status != nil && volume.Status.Phase == "Released" && volume.Spec.ReclaimPolicy == "Delete"
		notes := volume.Metadata.Annotations
		if released && notes[annotatedOrigin] == provisioner && notes[annotatedPlace] == v.node {
			problems = append(problems, v.remove(ctx, volume))
		}
	}
	return errors.Join(problems...)
}

func (v *volumes) make(ctx context.Context, claim claim) error {
	if claim.Spec.VolumeMode == "Block" {
		log.Printf("%s/%s asks for a block device, which this node cannot make", claim.Metadata.Namespace, claim.Metadata.Name)
		return nil
	}
	name := "pvc-" + claim.Metadata.UID
	folder := filepath.Join(volumesFolder, name)
	if err := os.MkdirAll(folder, 0o777); err != nil {
		return err
	}
	// Past the mask of this process: a container may run as any user.
	if err := os.Chmod(folder, 0o777); err != nil {
		return err
	}
	made := volume{APIVersion: "v1", Kind: "PersistentVolume"}
	made.Metadata = metadata{Name: name, Annotations: map[string]string{annotatedOrigin: provisioner, annotatedPlace: v.node}}
	made.Spec.Capacity = map[string]string{"storage": claim.Spec.Resources.Requests["storage"]}
	made.Spec.AccessModes = claim.Spec.AccessModes
	made.Spec.StorageClassName = claim.Spec.StorageClassName
	made.Spec.ReclaimPolicy = "Delete"
	made.Spec.ClaimRef = map[string]string{
		"apiVersion": "v1", "kind": "PersistentVolumeClaim",
		"namespace": claim.Metadata.Namespace, "name": claim.Metadata.Name, "uid": claim.Metadata.UID,
	}
	made.Spec.Local.Path = folder
	made.Spec.NodeAffinity = map[string]any{"required": map[string]any{"nodeSelectorTerms": []any{
		map[string]any{"matchExpressions": []any{
			map[string]any{"key": hostnameLabel, "operator": "In", "values": []string{v.node}},
		}},
	}}}
	err := v.server.call(ctx, http.MethodPost, "/api/v1/persistentvolumes", made, nil)
	var refused *refusal
	if errors.As(err, &refused) && refused.status == http.StatusConflict {
		return nil
	}
	if err == nil {
		log.Printf("made %s for %s/%s", folder, claim.Metadata.Namespace, claim.Metadata.Name)
	}
	return err
}

func (v *volumes) remove(ctx context.Context, volume volume) error {
	folder := volume.Spec.Local.Path
	// Only a folder that this program has made.
	if filepath.Dir(folder) != volumesFolder || !strings.HasPrefix(filepath.Base(folder), "pvc-") {
		return nil
	}
	if err := os.RemoveAll(folder); err != nil {
		return err
	}
	log.Printf("removed %s", folder)
	err := v.server.call(ctx, http.MethodDelete, "/api/v1/persistentvolumes/"+volume.Metadata.Name, nil, nil)
	var refused *refusal
	if errors.As(err, &refused) && refused.status == http.StatusNotFound {
		return nil
	}
	return err
}
