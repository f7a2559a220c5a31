import { randomBytes } from 'node:crypto'
import { appDockerfile } from './app-image.js'
import type { EngineWorld } from './describe-engine.js'
import type { KindProject } from './kind-project.js'

// Images are made by Compose from the project's own base: no registry is needed.
const composeFile = `
services:
  store:
    image: devstack/base:local
  app:
    build: { context: ./app }
    develop:
      watch: [{ action: sync, path: ./app, target: /app }]
  slow:
    build: { context: ./slow }
`

const store = `
apiVersion: apps/v1
kind: Deployment
metadata: { name: store }
spec:
  replicas: 1
  selector: { matchLabels: { app: store } }
  template:
    metadata: { labels: { app: store } }
    spec:
      terminationGracePeriodSeconds: 1
      containers:
        - name: store
          image: devstack/base:local
          command: [sh, -c, 'sleep infinity']
          readinessProbe: { exec: { command: ['true'] }, periodSeconds: 1 }
`

const once = `
apiVersion: batch/v1
kind: Job
metadata:
  name: once
  annotations: { devstack.dev/depends-on: '{"store":"service_healthy"}' }
spec:
  template:
    spec:
      restartPolicy: Never
      containers: [{ name: once, image: 'devstack/base:local', command: ['true'] }]
`

// A pod by itself, so that one that ends is not started again.
const pod = (name: string, needs: string): string => `
apiVersion: v1
kind: Pod
metadata: { name: ${name}, annotations: { devstack.dev/depends-on: '${needs}' } }
spec:
  restartPolicy: Never
  terminationGracePeriodSeconds: 1
  containers: [{ name: ${name}, image: ${name}, ports: [{ containerPort: 80 }] }]
`

/** The contract's stack, in whichever cluster. */
export async function makeClusterWorld(
  make: (files: Readonly<Record<string, string>>) => Promise<KindProject>,
): Promise<EngineWorld> {
  const unique = `dstest-build-${randomBytes(4).toString('hex')}`
  const project = await make({
    'compose.yaml': composeFile,
    'app/Dockerfile': appDockerfile,
    'app/main.txt': 'first',
    'slow/Dockerfile': `FROM devstack/base:local\nSHELL ["bash", "-c"]\nRUN exec -a ${unique} sleep 60\n`,
    'manifests/store.yaml': store,
    'manifests/once.yaml': once,
    'manifests/app.yaml': pod('app', '{"store":"service_healthy","once":"service_completed_successfully"}'),
    'manifests/slow.yaml': pod('slow', '{}'),
  })
  return {
    engine: project.engine,
    keepsStopped: false,
    reopen: () => project.open(),
    things: project.things,
    readFile: async (service, path) => {
      const { code, out } = await project.inside(service, ['cat', path])
      return code === 0 ? out : null
    },
    crash: async (service, exitCode) => {
      await project.inside(service, ['sh', '-c', `echo ${String(exitCode)} > /tmp/end`])
    },
    building: () => project.processes(unique),
    dispose: project.dispose,
  }
}
