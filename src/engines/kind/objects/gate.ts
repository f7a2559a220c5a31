import type { KubeObject } from '../kube-ports.js'

/** Names that are devstack's in every pod with a gate. */
export const GATE = {
  configMap: 'devstack-gate',
  /** A volume of each pod. */
  runVolume: 'devstack-run',
  binFolder: '/.devstack/bin',
  runFolder: '/.devstack/run',
  /** Of the container. */
  script: '/.devstack/bin/gate',
} as const

/**
 * `gate NAME PROGRAM...`: says with NAME.waiting that it waits, and becomes the program when NAME.go is there, or when nobody
 * made it in time. Only `rm` and `sleep` are needed beside the shell; without `sleep` it does not wait at all.
 */
export const GATE_SCRIPT = `#!/bin/sh
# Holds a container's program back until the files of its worktree are in place.
# Its variables have names of their own: an exported one would reach the program changed.
_gate_run=\${DEVSTACK_RUN:-${GATE.runFolder}}
_gate_name=$1
shift
case \${DEVSTACK_GATE_SECONDS:-} in
  '' | *[!0-9]* | 0?* | ?????*) _gate_seconds=10 ;;
  *) _gate_seconds=$DEVSTACK_GATE_SECONDS ;;
esac

_gate_sleeps=
_gate_leave() {
  [ -z "$_gate_sleeps" ] || kill "$_gate_sleeps" 2>/dev/null
  rm -f "$_gate_run/$_gate_name.waiting"
  exit 143
}
# Process 1 has no default answer to a signal, and an image may name another one than TERM to be stopped with.
trap _gate_leave TERM INT QUIT HUP USR1 USR2 WINCH

# A sleep in the foreground would hold a signal back.
_gate_nap() {
  sleep "$1" 2>/dev/null &
  _gate_sleeps=$!
  wait "$_gate_sleeps"
  set -- "$?"
  _gate_sleeps=
  return "$1"
}

# What an earlier run of the container left is not meant for this one.
rm -f "$_gate_run/$_gate_name.go" "$_gate_run/$_gate_name.waiting"
if { true >"$_gate_run/$_gate_name.waiting"; } 2>/dev/null; then
  _gate_pause=0.05
  _gate_left=$((_gate_seconds * 20))
  while [ "$_gate_left" -gt 0 ] && [ ! -e "$_gate_run/$_gate_name.go" ]; do
    if _gate_nap "$_gate_pause"; then
      _gate_left=$((_gate_left - 1))
    elif [ "$_gate_pause" = 0.05 ]; then
      # No fractions.
      _gate_pause=1
      _gate_left=$((_gate_left / 20))
    else
      # No sleep at all.
      break
    fi
  done
fi
rm -f "$_gate_run/$_gate_name.go" "$_gate_run/$_gate_name.waiting"
exec "$@"
`

/** The script, for pods to mount. */
export function gateConfigMap(): KubeObject {
  return {
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: { name: GATE.configMap },
    data: { gate: GATE_SCRIPT },
  }
}

/** Volumes of a pod with a gate. */
export const GATE_VOLUMES: readonly object[] = [
  { name: GATE.configMap, configMap: { name: GATE.configMap, defaultMode: 0o555 } },
  { name: GATE.runVolume, emptyDir: {} },
]

/** Mounts of a container with a gate. */
export const GATE_MOUNTS: readonly object[] = [
  { name: GATE.configMap, mountPath: GATE.binFolder, readOnly: true },
  { name: GATE.runVolume, mountPath: GATE.runFolder },
]

export function isGateVolume(name: string | null): boolean {
  return name === GATE.configMap || name === GATE.runVolume
}

/** What a container runs, as a pod has it: Kubernetes runs `command` and `args` in one. */
export interface PodCommand {
  readonly command: readonly string[] | null
  readonly args: readonly string[] | null
}

/** The two stay apart behind the gate, so that it can be taken away again. */
export function throughGate(container: string, { command, args }: PodCommand): PodCommand {
  return { command: ['/bin/sh', GATE.script, container, ...(command ?? [])], args }
}

/** What stands behind a gate; what has none as it is. */
export function withoutGate({ command, args }: PodCommand): PodCommand {
  if (command?.[0] !== '/bin/sh' || command[1] !== GATE.script) return { command, args }
  const behind = command.slice(3)
  return { command: behind.length === 0 ? null : behind, args }
}
