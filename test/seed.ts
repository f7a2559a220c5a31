import fc from 'fast-check'

// Every run looks at the same samples: what is red today was red yesterday. Another number looks at others, and what it
// finds is worth a test of its own.
fc.configureGlobal({ seed: Number(process.env['DEVSTACK_SEED'] ?? 4) })
