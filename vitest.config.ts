import { defineConfig } from 'vitest/config'

// Tests of what the engine for clusters is made of. Most of them make a cluster where DEVSTACK_ENGINES names kind.
const CLUSTER = [
  'test/engines/kind/**/*.engine.test.ts',
  'test/kind/**/*.engine.test.ts',
  'test/**/*{kind,kubernetes}*.engine.test.ts',
]

// They talk to the real Docker engine and run one file at a time: they share its processor.
const real = {
  fileParallelism: false,
  testTimeout: 300_000,
  setupFiles: ['test/seed.ts'],
}

export default defineConfig({
  test: {
    projects: [
      {
        test: {
          name: 'unit',
          include: ['test/**/*.test.{ts,tsx}'],
          exclude: ['test/**/*.engine.test.ts', '**/node_modules/**'],
          testTimeout: 20_000,
          setupFiles: ['test/seed.ts'],
        },
      },
      {
        test: {
          ...real,
          name: 'engine',
          include: ['test/**/*.engine.test.ts'],
          exclude: [...CLUSTER, '**/node_modules/**'],
          hookTimeout: 600_000,
          sequence: { groupOrder: 1 },
        },
      },
      {
        test: {
          ...real,
          name: 'kind',
          include: CLUSTER,
          globalSetup: ['test/contract/kind-setup.ts'],
          // The image of the nodes may have to be built first, of its sources.
          hookTimeout: 1_500_000,
          // Last: a cluster takes processor time from whatever runs beside it.
          sequence: { groupOrder: 2 },
        },
      },
    ],
  },
})
