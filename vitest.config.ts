import { defineConfig } from 'vitest/config'

// Engine tests talk to the real Docker engine and run one file at a time: they share its processor.
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
          name: 'engine',
          include: ['test/**/*.engine.test.ts'],
          exclude: ['**/node_modules/**'],
          fileParallelism: false,
          testTimeout: 300_000,
          setupFiles: ['test/seed.ts'],
          hookTimeout: 600_000,
        },
      },
    ],
  },
})
