{#- dom0: a vault without network, if there is none of that name. -#}
{% from 'splitvault/map.jinja' import splitvault with context %}
{% if grains['nodename'] == 'dom0' %}
splitvault-vault-present:
  qvm.present:
    - name: {{ splitvault.vault }}
    - label: {{ splitvault.vault_label }}
    - template: {{ splitvault.vault_template }}

splitvault-vault-prefs:
  qvm.prefs:
    - name: {{ splitvault.vault }}
    - netvm: ""
    - require:
      - qvm: splitvault-vault-present

splitvault-vault-service:
  qvm.service:
    - name: {{ splitvault.vault }}
    - enable:
      - splitvault-vault
    - require:
      - qvm: splitvault-vault-present
{% endif %}
