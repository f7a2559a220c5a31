/** A kustomization of every layer that can change an object: file -> text. */
export const LAYERED: Readonly<Record<string, string>> = {
  'base/kustomization.yaml': `resources:
  - api.yaml
  - service.yaml
configMapGenerator:
  - name: conf
    literals:
      - LEVEL=info
      - MODE=base
    files:
      - app.ini
      - other.ini=files/x.ini
`,
  'base/app.ini': 'a = 1\n',
  'base/files/x.ini': 'b = 2\n',
  'base/api.yaml': `# The API.
apiVersion: apps/v1
kind: Deployment
metadata:
  name: api
spec:
  selector: { matchLabels: { app: api } }
  template:
    metadata: { labels: { app: api } }
    spec:
      containers:
        - name: api
          image: shop-api
          env:
            - { name: A, value: '1' }
            - { name: B, value: '2' }
          envFrom: [{ configMapRef: { name: conf } }]
          volumeMounts:
            - { name: data, mountPath: /data }
        - name: side
          image: side:1
      volumes:
        - name: data
          emptyDir: {}
`,
  'base/service.yaml': `apiVersion: v1
kind: Service
metadata:
  name: api
spec:
  selector: { app: api }
  ports: [{ port: 80 }]
`,
  'component/kustomization.yaml': `apiVersion: kustomize.config.k8s.io/v1alpha1
kind: Component
patches:
  - path: debug.yaml
`,
  'component/debug.yaml': `apiVersion: apps/v1
kind: Deployment
metadata: { name: api }
spec:
  template:
    spec:
      containers:
        - name: side
          tty: true
`,
  'overlay/kustomization.yaml': `namespace: shop
namePrefix: dev-
resources: [../base]
components: [../component]
labels:
  - pairs: { tier: web }
commonAnnotations:
  owner: me
images:
  - name: side
    newTag: '2'
replicas:
  - name: api
    count: 3
configMapGenerator:
  - name: conf
    behavior: merge
    literals: [MODE=dev]
patches:
  - path: patch.yaml
  - patch: |-
      apiVersion: apps/v1
      kind: Deployment
      metadata: { name: api }
      spec:
        strategy: { type: Recreate }
  - target: { kind: Service, name: a.* }
    patch: |
      - op: add
        path: /spec/type
        value: NodePort
`,
  'overlay/patch.yaml': `apiVersion: apps/v1
kind: Deployment
metadata:
  name: api
spec:
  template:
    spec:
      containers:
        - name: api
          env:
            - name: B
              value: '3'
            - name: C
              value: '4'
`,
}

/** What kustomize makes of its `overlay`. */
export const RENDERED = `apiVersion: v1
data:
  LEVEL: info
  MODE: dev
  app.ini: |
    a = 1
  other.ini: |
    b = 2
kind: ConfigMap
metadata:
  annotations:
    owner: me
  labels:
    tier: web
  name: dev-conf-df448g4958
  namespace: shop
---
apiVersion: v1
kind: Service
metadata:
  annotations:
    owner: me
  labels:
    tier: web
  name: dev-api
  namespace: shop
spec:
  ports:
  - port: 80
  selector:
    app: api
  type: NodePort
---
apiVersion: apps/v1
kind: Deployment
metadata:
  annotations:
    owner: me
  labels:
    tier: web
  name: dev-api
  namespace: shop
spec:
  replicas: 3
  selector:
    matchLabels:
      app: api
  strategy:
    type: Recreate
  template:
    metadata:
      annotations:
        owner: me
      labels:
        app: api
    spec:
      containers:
      - env:
        - name: B
          value: "3"
        - name: C
          value: "4"
        - name: A
          value: "1"
        envFrom:
        - configMapRef:
            name: dev-conf-df448g4958
        image: shop-api
        name: api
        volumeMounts:
        - mountPath: /data
          name: data
      - image: side:2
        name: side
        tty: true
      volumes:
      - emptyDir: {}
        name: data
`
