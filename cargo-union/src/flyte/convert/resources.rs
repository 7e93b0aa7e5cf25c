//! Converts the resources of a task.

use union_build::spec::task::{Amount, Gpu, Resources, SharedMemory};

use crate::flyte::idl::core::gpu_accelerator::{DeviceClass, PartitionSizeValue};
use crate::flyte::idl::core::resources::{ResourceEntry, ResourceName};
use crate::flyte::idl::core::{self, ExtendedResources, GpuAccelerator};

/// Names of accelerators, with the node labels that the usual clouds use for them.
const DEVICES: [(&str, &str); 18] = [
    ("A100", "nvidia-tesla-a100"),
    ("A100 80G", "nvidia-a100-80gb"),
    ("H100", "nvidia-tesla-h100"),
    ("A10", "nvidia-a10"),
    ("A10G", "nvidia-a10g"),
    ("A100G", "nvidia-a100g"),
    ("L4", "nvidia-l4"),
    ("L40s", "nvidia-l40s"),
    ("L4_VWS", "nvidia-l4-vws"),
    ("K80", "nvidia-tesla-k80"),
    ("M60", "nvidia-tesla-m60"),
    ("P4", "nvidia-tesla-p4"),
    ("P100", "nvidia-tesla-p100"),
    ("T4", "nvidia-tesla-t4"),
    ("V100", "nvidia-tesla-v100"),
    ("V5E", "tpu-v5-lite-podslice"),
    ("V5P", "tpu-v5p-slice"),
    ("V6E", "tpu-v6e-slice"),
];

/// Accelerators of other vendors than NVIDIA, by the prefix of their names.
const CLASSES: [(&str, DeviceClass); 8] = [
    ("V5E", DeviceClass::GoogleTpu),
    ("V5P", DeviceClass::GoogleTpu),
    ("V6E", DeviceClass::GoogleTpu),
    ("tpu-", DeviceClass::GoogleTpu),
    ("Inf", DeviceClass::AmazonNeuron),
    ("Trn", DeviceClass::AmazonNeuron),
    ("MI", DeviceClass::AmdGpu),
    ("Gaudi", DeviceClass::HabanaGaudi),
];

/// Requests and limits; `None` when none are declared.
pub(super) fn resources(declared: &Resources) -> Option<core::Resources> {
    let entry = |name: ResourceName, value: String| ResourceEntry {
        name: name.into(),
        value,
    };
    let request = |amount: &Amount| amount.request.value.clone();
    let limit = |amount: &Amount| Some(amount.limit.as_ref()?.value.clone());
    let requests = [
        (ResourceName::Cpu, declared.cpu.as_ref().map(request)),
        (ResourceName::Memory, declared.memory.as_ref().map(request)),
        (
            ResourceName::Gpu,
            declared.gpu.as_ref().map(|gpu| gpu.count.to_string()),
        ),
        (
            ResourceName::EphemeralStorage,
            declared.disk.as_ref().map(|disk| disk.value.clone()),
        ),
    ];
    let limits = [
        (ResourceName::Cpu, declared.cpu.as_ref().and_then(limit)),
        (
            ResourceName::Memory,
            declared.memory.as_ref().and_then(limit),
        ),
    ];
    let resources = core::Resources {
        requests: requests
            .into_iter()
            .filter_map(|(name, value)| Some(entry(name, value?)))
            .collect(),
        limits: limits
            .into_iter()
            .filter_map(|(name, value)| Some(entry(name, value?)))
            .collect(),
    };
    (resources != core::Resources::default()).then_some(resources)
}

/// Accelerators of a type, and shared memory; `None` when neither is declared.
pub(super) fn extended(declared: &Resources) -> Option<ExtendedResources> {
    let shared_memory = declared.shm.as_ref().map(|shm| core::SharedMemory {
        mount_path: "/dev/shm".to_owned(),
        mount_name: "flyte-shm".to_owned(),
        size_limit: match shm {
            SharedMemory::Auto => String::new(),
            SharedMemory::Size(size) => size.clone(),
        },
    });
    let extended = ExtendedResources {
        gpu_accelerator: declared.gpu.as_ref().and_then(accelerator),
        shared_memory,
    };
    (extended != ExtendedResources::default()).then_some(extended)
}

/// The type of an accelerator; `None` when any type suffices.
fn accelerator(gpu: &Gpu) -> Option<GpuAccelerator> {
    let typed = gpu.device.as_deref()?;
    let device = DEVICES
        .iter()
        .find(|(name, _)| *name == typed)
        .map_or(typed, |(_, label)| label);
    Some(GpuAccelerator {
        device: device.to_owned(),
        device_class: class_of(typed).into(),
        partition_size_value: gpu
            .partition
            .as_ref()
            .map(|size| PartitionSizeValue::PartitionSize(size.value.clone())),
    })
}

fn class_of(typed: &str) -> DeviceClass {
    CLASSES
        .iter()
        .find(|(start, _)| typed.starts_with(start))
        .map_or(DeviceClass::NvidiaGpu, |(_, class)| *class)
}

/// Whether accelerators are NVIDIA's, which those without a type are taken for.
pub(in crate::flyte) fn is_nvidia(gpu: &Gpu) -> bool {
    let class = gpu.device.as_deref().map(class_of);
    class.is_none_or(|class| class == DeviceClass::NvidiaGpu)
}
