// Real clients of a signer, as dapps and scripts use them: ethers, viem, web3.js.
// Each step prints one line of JSON for each library:
//
//	{"library":"viem","step":"list","result":…}
//	{"library":"viem","step":"list","error":{"name":…,"code":…,"text":…}}
//
// ONLY in the environment names one of them. Signatures are verified here by what another library makes of them.
import { ethers } from 'ethers'
import { createClient, http, recoverMessageAddress, recoverTransactionAddress, recoverTypedDataAddress } from 'viem'
import { Web3 } from 'web3'

const url = process.env.SIGNER ?? 'http://localhost:8550'
const address = '0x9d8A62f656a8d1615C1294fd71e9CFb3E4855A4F'

const typed = {
	types: {
		EIP712Domain: [{ name: 'name', type: 'string' }, { name: 'chainId', type: 'uint256' }],
		M: [{ name: 't', type: 'string' }],
	},
	primaryType: 'M',
	domain: { name: 'x', chainId: '1337' },
	message: { t: 'hi' },
}
const transaction = {
	from: address, to: '0x1111111111111111111111111111111111111111', gas: '0x5208', maxFeePerGas: '0x3b9aca00',
	maxPriorityFeePerGas: '0x3b9aca00', value: '0x1', nonce: '0x0', chainId: '0x539', input: '0x',
}

const libraries = {
	ethers() {
		const provider = new ethers.JsonRpcProvider(url, 1337, { staticNetwork: true })
		return { send: (method, params) => provider.send(method, params), end: () => provider.destroy() }
	},
	viem() {
		const client = createClient({ transport: http(url, { timeout: Number(process.env.PATIENCE ?? 10_000) }) })
		return { send: (method, params) => client.request({ method, params }), end() {} }
	},
	web3() {
		const web3 = new Web3(url)
		return { send: (method, params) => web3.requestManager.send({ method, params }), end() {} }
	},
}

const steps = {
	version: (send) => send('account_version', []),
	list: (send) => send('account_list', []),
	chain: (send) => send('eth_chainId', []),
	fresh: (send) => send('account_new', []),
	async data(send) {
		const signature = await send('account_signData', ['text/plain', address, '0x68656c6c6f'])
		return { signature, ethers: ethers.verifyMessage('hello', signature), viem: await recoverMessageAddress({ message: 'hello', signature }) }
	},
	async typed(send) {
		const signature = await send('account_signTypedData', [address, typed])
		const { EIP712Domain, ...types } = typed.types
		return {
			signature,
			ethers: ethers.verifyTypedData(typed.domain, types, typed.message, signature),
			viem: await recoverTypedDataAddress({ ...typed, domain: { name: 'x', chainId: 1337 }, signature }),
		}
	},
	async transaction(send) {
		const { raw } = await send('account_signTransaction', [transaction])
		const read = ethers.Transaction.from(raw)
		return { hash: read.hash, ethers: read.from, viem: await recoverTransactionAddress({ serializedTransaction: raw }), to: read.to, value: read.value.toString() }
	},
	// viem loses patience and asks again, three times; the others wait.
	impatient: (send) => send('account_list', []),
	// ethers makes one batch of these.
	batch: (send) => Promise.all([send('account_version', []), send('account_list', []), send('account_version', [])]),
}

function explain(e) {
	const inner = e.info?.error ?? e.cause ?? e.error ?? {}
	return { name: e.name, code: e.code, inner: inner.code, text: String(e.shortMessage ?? e.message).slice(0, 300), detail: String(inner.message ?? '').slice(0, 300) }
}

async function main(wanted) {
	for (const [library, make] of Object.entries(libraries)) {
		if (process.env.ONLY && process.env.ONLY !== library) {
			continue
		}
		for (const step of wanted) {
			const client = make()
			try {
				console.log(JSON.stringify({ library, step, result: await steps[step](client.send) }))
			} catch (e) {
				console.log(JSON.stringify({ library, step, error: explain(e) }))
			} finally {
				client.end()
			}
		}
	}
}

main(process.argv.slice(2))
